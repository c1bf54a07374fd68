"""``python -m tts_worker``: the process."""

from parlour_config.process import main

if __name__ == "__main__":
    main("tts_worker.service:TtsWorker")
