"""Write the documents that come from the code: topics, APIs, schemas and requirements."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import yaml
from parlour_cli.broker.users import ADMIN
from parlour_cli.up.members import INSTANCES
from parlour_contracts import acl, asyncapi

sys.path.insert(0, str(Path(__file__).parent))
import metrics_page
import openapi
import settings_page
import threats
import traceability

DOCS = Path(__file__).resolve().parents[1]


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    document = asyncapi.document(version("parlour-contracts"))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return {
        DOCS / "asyncapi.yaml": f"# Generated from the topic registry by `make docs`.\n{text}",
        DOCS / "mqtt.md": asyncapi.table(),
        DOCS / "settings.md": settings_page.page(),
        DOCS / "metrics.md": metrics_page.page(),
        DOCS / "requirements.md": traceability.page(),
        DOCS / "threats.md": threats.page(),
        DOCS / "openapi.yaml": openapi.page(),
        **openapi.schemas(DOCS / "schemas"),
        DOCS.parent / "mosquitto" / "acl": acl.render_acl(INSTANCES, [ADMIN]),
    }


def main() -> int:
    """Write the files, or with ``--check`` only say which are stale."""
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
        verb = "stale, run `make docs`:" if "--check" in sys.argv else "wrote"
        print(f"{verb} {path.relative_to(DOCS.parent)}")  # noqa: T201  # a command's answer
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
