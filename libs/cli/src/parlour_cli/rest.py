"""config-manager's REST interface, as the commands use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from parlour_kit.errors import ParlourError
from parlour_kit.ids import new_id
from pydantic_core import to_json

from parlour_cli.broker.errors import NotRunningError
from parlour_cli.broker.running import running
from parlour_cli.broker.users import ADMIN
from parlour_cli.keys.places import token_file

TIMEOUT_S = 15.0
TRIES = 4
PAUSE_S = 0.5
"""A config-manager that was killed is back within about two seconds."""


def place(*parts: str) -> str:
    """A path of the interface; what a person typed stays one level of it."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


class RefusedError(ParlourError):
    """config-manager refused; code, message and hint are its own.

    Attributes:
        answer: the whole object that came.
    """

    def __init__(self, answer: Mapping[str, Any], status: int) -> None:
        message = str(answer.get("message") or f"config-manager answered {status}")
        lines = [line for detail in answer.get("details") or [] if (line := _line(detail, message))]
        super().__init__(
            "\n".join([message, *lines]),
            code=str(answer.get("error") or "INTERNAL"),
            hint=str(answer.get("hint") or ""),
            retryable=status in (429, 503),
        )
        self.answer = dict(answer)


class UnreachableError(ParlourError):
    """config-manager does not answer."""

    code = "UNREACHABLE"
    retryable = True
    hint = "see what parlour up says of config-manager"


class Api:
    """One user's calls.

    Each change carries an id of its own, so that it happens once however often it is sent: a
    connection that breaks is tried again.

    Args:
        url: where config-manager listens.
        token: the user's bearer token.
        user: whose token it is, for hints.
        transport: for tests.
        pause: waits between two tries, in seconds.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        user: str = ADMIN,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._user = user
        self._pause = pause
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,  # a proxy has no business on this machine's loopback
        )

    @classmethod
    def of(cls, data_dir: Path, user: str = ADMIN) -> Api:
        """The running fleet's, as a user whose token is on this machine.

        Raises:
            NotRunningError: no fleet runs.
            UnreachableError: the user has no token here.
        """
        record = running(data_dir)
        if record.rest_url is None:
            raise NotRunningError(
                "the running fleet was started by an older release",
                hint="start parlour up again",
            )
        path = token_file(data_dir, user)
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError:
            raise UnreachableError(
                f"{user} has no token on this machine",
                code="NO_TOKEN",
                retryable=False,
                hint=f"parlour users token {user}",
            ) from None
        return cls(record.rest_url, token, user=user)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str | int | bool | None] | None = None,
    ) -> Any:
        """One call; returns the body of the answer.

        Raises:
            RefusedError: config-manager refused.
            UnreachableError: it does not answer.
        """
        asked = {k: v for k, v in (query or {}).items() if v is not None}
        return self._send(method, path, None if body is None else to_json(body), asked)

    def call_bytes(self, method: str, path: str, body: bytes) -> Any:
        """One call with a body that must arrive as it is, such as a signed one."""
        return self._send(method, path, body, {})

    def _send(
        self, method: str, path: str, body: bytes | None, query: Mapping[str, str | int | bool]
    ) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        if method != "GET":
            headers["Idempotency-Key"] = new_id()
        repeatable = method == "GET" or path.startswith(("/v1/config/", "/v1/search"))
        answer = self._try(
            lambda: self._client.request(method, path, content=body, params=query, headers=headers),
            (httpx.TransportError,) if repeatable else (httpx.ConnectError,),
        )
        try:
            found = answer.json() if answer.content else {}
        except ValueError:
            found = None
        if answer.is_success and found is not None:
            return found
        refused = RefusedError(found if isinstance(found, dict) else {}, answer.status_code)
        if refused.code == "UNAUTHENTICATED":
            refused.hint = f"give {self._user} a new token: parlour users token {self._user}"
        raise refused

    def _try(
        self, send: Callable[[], httpx.Response], again: tuple[type[httpx.TransportError], ...]
    ) -> httpx.Response:
        for tries_left in reversed(range(TRIES)):
            try:
                return send()
            except httpx.HTTPError as error:
                slow = isinstance(error, httpx.TimeoutException)
                if not tries_left or slow or not isinstance(error, again):
                    raise UnreachableError(
                        f"config-manager does not answer ({type(error).__name__})"
                    ) from None
            self._pause(PAUSE_S)
        raise AssertionError("the last try returns or raises")


def _line(detail: Mapping[str, Any], message: str) -> str:
    """One problem; empty where the message says it already."""
    if str(detail.get("problem")) in message:
        return ""
    allowed = f" (allowed: {detail['allowed']})" if detail.get("allowed") else ""
    return f"  {detail.get('key')} {detail.get('problem')}{allowed}"
