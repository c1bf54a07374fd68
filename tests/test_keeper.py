"""What was killed is brought back, and nothing that was meant to stay down."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[1] / "compose/keeper.py"
_SPEC = importlib.util.spec_from_file_location("keeper", PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
keeper = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(keeper)


def event(action: str, container: str = "abc", **attributes: str) -> dict[str, Any]:
    about = {keeper.PROJECT: "parlour", **attributes}
    return {"Action": action, "Actor": {"ID": container, "Attributes": about}}


def kill(number: int, container: str = "abc") -> dict[str, Any]:
    return event("kill", container, signal=str(number))


def brought_back(*events: dict[str, Any]) -> list[str]:
    deaths = keeper.Deaths("parlour")
    return [found for e in events if (found := deaths.hear(e)) is not None]


def test_a_killed_container_is_brought_back() -> None:
    assert brought_back(kill(9), event("die", exitCode="137")) == ["abc"]


def test_a_killed_container_is_brought_back_as_often_as_it_is_killed() -> None:
    assert brought_back(kill(9), event("die"), event("start"), kill(9), event("die")) == ["abc"] * 2


@pytest.mark.parametrize(
    "story",
    [
        [kill(15), event("die", exitCode="0")],
        [kill(15), kill(9), event("die", exitCode="137")],
        [event("die", exitCode="1")],
        [event("die", exitCode="137")],
        [kill(1), event("die")],
        [kill(9)],
        [kill(9), event("start"), event("die")],
        [kill(9, "abc"), event("die", "other")],
    ],
    ids=["stopped", "stopped, too slow", "ended by itself", "out of memory or killed from outside",
         "told to read its configuration", "not dead yet", "an earlier life's", "another one's"],
)  # fmt: skip
def test_what_was_stopped_or_is_restarted_by_the_engine_is_left_alone(
    story: list[dict[str, Any]],
) -> None:
    assert brought_back(*story) == []


@pytest.mark.parametrize(
    "attributes", [{keeper.PROJECT: "other"}, {keeper.ONE_OFF: "True"}, {keeper.PROJECT: ""}]
)
def test_other_projects_and_commands_that_run_once_are_none_of_its_business(
    attributes: dict[str, str],
) -> None:
    story = [event("kill", signal="9", **attributes), event("die", **attributes)]

    assert brought_back(*story) == []


def test_an_event_of_an_unknown_form_is_passed_over() -> None:
    assert brought_back({}, {"Action": "die"}, {"Action": "die", "Actor": {}}) == []


def test_it_needs_nothing_but_the_standard_library() -> None:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    imported = {
        line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))
    }

    assert imported <= {"__future__", "http", "json", "os", "socket", "sys", "time", "collections",
                        "pathlib", "typing", "urllib"}  # fmt: skip
