"""The language models behind llm-worker; heavy libraries are imported in here alone."""
