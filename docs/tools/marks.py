"""What tests say of themselves with marks such as ``@pytest.mark.req("C050")``."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("libs", "services", "config-manager", "tests")


def tests_by_mark(mark: str) -> dict[str, set[str]]:
    """Each argument of a mark, as text, and the tests that carry it."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            if ".venv" in path.parts:
                continue
            for test, argument in _marks(ast.parse(path.read_text(encoding="utf-8")), mark):
                found[argument].add(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return found


def _marks(tree: ast.Module, wanted: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == f"pytest.mark.{wanted}":
                    for argument in mark.args:
                        yield node.name, str(ast.literal_eval(argument))
