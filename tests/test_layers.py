"""Who may know whom, read from the code itself."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(ROOT.glob("libs/*/src")) + sorted(ROOT.glob("services/*/src"))
EVERY_SOURCE = [*SOURCES, ROOT / "config-manager" / "src"]


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file below a folder, with each module that it imports anywhere in it."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path.name, node.module


@pytest.mark.req("F4", "C072")
@pytest.mark.parametrize("folder", SOURCES, ids=lambda folder: folder.parent.name)
def test_only_config_manager_can_open_the_database(folder: Path) -> None:
    found = list(imported(folder))
    needs = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))

    assert found
    opening = [one for one in found if one[1].split(".")[0] in ("config_manager", "sqlite3")]
    # A copy is looked at before it is put back, and nobody but the operator's command does that.
    assert opening == ([("contents.py", "sqlite3")] if folder.parent.name == "cli" else [])
    if folder.parent.name != "cli":  # it starts the process
        assert not [d for d in needs["project"]["dependencies"] if "config-manager" in d]


def test_the_operators_command_only_reads_copies_of_the_database() -> None:
    source = (ROOT / "libs/cli/src/parlour_cli/backup/contents.py").read_text(encoding="utf-8")

    assert source.count("sqlite3.connect(") == 1
    assert "?mode=ro" in source


@pytest.mark.req("F17")
def test_no_code_makes_a_time_without_a_zone() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    lint = settings["lint"]
    ignored = {
        *lint["ignore"],
        *(rule for rules in lint["per-file-ignores"].values() for rule in rules),
    }
    naive = re.compile(r"utcnow\(|datetime\.now\(\)|utcfromtimestamp\(")
    found = [
        path.name
        for folder in EVERY_SOURCE
        for path in folder.rglob("*.py")
        if naive.search(path.read_text(encoding="utf-8"))
    ]

    assert lint["select"] == ["ALL"]  # with the rules for naive times (DTZ)
    assert not [rule for rule in ignored if rule.startswith("DTZ")]
    assert found == []
