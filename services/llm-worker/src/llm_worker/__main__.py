"""``python -m llm_worker``: the process."""

from parlour_kit.process import main

if __name__ == "__main__":
    main("llm_worker.service:LlmWorker")
