"""``python -m stt_worker``."""

from parlour_kit.service import main

from stt_worker.service import SttWorker

if __name__ == "__main__":
    main(SttWorker)
