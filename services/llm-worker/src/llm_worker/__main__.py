"""``python -m llm_worker``: the process."""

from __future__ import annotations

from parlour_kit.service import main

from llm_worker.service import LlmWorker

if __name__ == "__main__":
    main(LlmWorker)
