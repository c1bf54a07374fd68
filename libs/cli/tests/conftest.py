"""A config-manager that answers the commands as a test tells it to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from parlour_cli.rest import Api

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # for what several tests build on
    sys.path.insert(0, str(HERE))

Answer = Callable[[httpx.Request], httpx.Response]


class Manager:
    """Answers by method and path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []
        self._answers: dict[tuple[str, str], list[Any]] = {}

    def on(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """Answer with these bodies, one after the other; the last one stays."""
        self._answers[method, path] = [
            body if callable(body) else httpx.Response(status, json=body) for body in bodies
        ]

    def body(self, index: int = -1) -> Any:
        """The JSON of a request."""
        return json.loads(self.asked[index].content)

    def api(self) -> Api:
        """A connection to it."""
        return Api(
            "http://test", "t0ken",
            transport=httpx.MockTransport(self._answer), pause=self.pauses.append,
        )  # fmt: skip

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answers = self._answers.get((request.method, request.url.raw_path.decode().split("?")[0]))
        if answers is None:
            return httpx.Response(
                404, json={"error": "UNKNOWN_OP", "message": f"nobody expects {request.url}"}
            )
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        found: httpx.Response = answer(request) if callable(answer) else answer
        return found


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    """What the commands of the test speak with."""
    found = Manager()
    api = found.api()
    monkeypatch.setattr(Api, "of", lambda *_args, **_more: api)
    return found
