"""Which tests run beside which, where pytest-xdist runs several at once.

Two language models on two cores wait for each other until their requests time out, while beside
one of them there is room for all that mostly waits. So the files that compute follow each other in
one worker, and come first; of the others each file is one piece of work.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_HEAVY = re.compile(r"pytest\.mark\.(model|docker)\b")


@cache
def is_heavy(file: Path) -> bool:
    """Whether a file of tests loads models or starts containers: its markers say so."""
    return _HEAVY.search(file.read_text(encoding="utf-8")) is not None


class FilesSideBySide(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is not typed
    """One file is one piece of work, and all the heavy ones together are one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "heavy" if is_heavy(self.config.rootpath / file) else file


class SideBySide:
    """The hooks; registered where pytest-xdist is."""

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Producer
    ) -> LoadScopeScheduling:
        """What hands out the work."""
        return FilesSideBySide(config, log)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """The heavy ones first: whoever has them is busy longest."""
        if hasattr(config, "workerinput"):
            items.sort(key=lambda item: not is_heavy(item.path))
