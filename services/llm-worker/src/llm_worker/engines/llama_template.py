"""A model's own chat template, as a function."""

from __future__ import annotations

from typing import Any

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from llm_worker.prompting import Template


def make_template(source: str, begin: str, end: str) -> Template | None:
    """The compiled template, or None when it is not one. It runs sandboxed."""
    try:
        formatter = Jinja2ChatFormatter(template=source, eos_token=end, bos_token=begin)
    except Exception:  # noqa: BLE001  # text from a model's file: whatever it breaks, go without
        return None

    def render(messages: list[dict[str, str]]) -> str:
        untyped: list[Any] = [*messages]
        return str(formatter(messages=untyped).prompt)

    return render
