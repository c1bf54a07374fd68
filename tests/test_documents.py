"""The documents in docs/ are those of the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from parlour_contracts.topics import TURN_OPEN

ROOT = Path(__file__).resolve().parents[1]


def _generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/tools/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.req("F30", "C063")
def test_generated_documents_are_fresh() -> None:
    for path, text in _generator().pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `make docs`"


def test_every_requirement_has_its_line() -> None:
    """The list beside the project, where it is there, names no id that the table lacks."""
    source = ROOT / ".." / "shared" / "design" / "requirements.md"
    if not source.exists():
        pytest.skip("the requirements are not beside this checkout")
    rows = re.findall(r"^\|(.*)\|$", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    cells = [cell.replace("⊕", "").strip() for row in rows for cell in row.split("|")]
    wanted = {c for c in cells if re.fullmatch(r"(?:C|H|V|P|D|R|X|SC|F)[0-9]+", c)}
    table = (ROOT / "docs/requirements.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([A-Z]+[0-9]+) \|", table, flags=re.MULTILINE))

    assert len(wanted) > 300
    assert wanted <= listed


def test_every_row_of_the_threat_table_has_a_test() -> None:
    tests = _generator().threats.shown()

    assert [int(row) for row in tests] == list(range(1, 29))
    assert [row for row, names in tests.items() if not names] == []


def test_the_example_in_the_protocol_is_a_message() -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)

    assert TURN_OPEN.model.decode(example.encode()).format.rate == 16_000
