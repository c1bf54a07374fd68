"""``python -m stt_worker``: the process."""

from parlour_config.process import main

if __name__ == "__main__":
    main("stt_worker.service:SttWorker")
