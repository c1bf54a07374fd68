"""``python -m tts_worker``: the process."""

from __future__ import annotations

from parlour_kit.service import main

from tts_worker.service import TtsWorker

if __name__ == "__main__":
    main(TtsWorker)
