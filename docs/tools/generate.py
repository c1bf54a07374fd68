"""Write the documents that come from the registry: docs/asyncapi.yaml and docs/mqtt.md."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import yaml
from parlour_contracts import asyncapi

DOCS = Path(__file__).resolve().parents[1]


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    document = asyncapi.document(version("parlour-contracts"))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return {
        DOCS / "asyncapi.yaml": f"# Generated from the topic registry by `make docs`.\n{text}",
        DOCS / "mqtt.md": asyncapi.table(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")  # noqa: T201  # a command's answer
