"""``python -m llm_worker``: the process."""

from parlour_config.process import main

if __name__ == "__main__":
    main("llm_worker.service:LlmWorker")
