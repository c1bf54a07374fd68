"""config-manager's REST interface, as the commands use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from parlour_kit.errors import ParlourError
from pydantic_core import to_json

from parlour_cli.broker.errors import NotRunningError
from parlour_cli.broker.running import running
from parlour_cli.broker.users import ADMIN
from parlour_cli.keys.places import token_file

TIMEOUT_S = 15.0


class RefusedError(ParlourError):
    """config-manager refused; code, message and hint are its own."""

    def __init__(self, answer: Mapping[str, Any], status: int) -> None:
        details = answer.get("details") or []
        lines = [
            f"  {d.get('key')}: {d.get('problem')}"
            + (f" (allowed: {d['allowed']})" if d.get("allowed") else "")
            for d in details
        ]
        message = str(answer.get("message") or f"config-manager answered {status}")
        super().__init__(
            "\n".join([message, *lines]),
            code=str(answer.get("error") or "INTERNAL"),
            hint=str(answer.get("hint") or ""),
        )
        self.answer = dict(answer)


class UnreachableError(ParlourError):
    """config-manager does not answer."""

    code = "UNREACHABLE"
    retryable = True
    hint = "see what parlour up says of config-manager"


class Api:
    """One user's calls.

    Args:
        url: where config-manager listens.
        token: the user's bearer token.
        transport: for tests.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
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
                hint=f"parlour users token {user}",
            ) from None
        return cls(record.rest_url, token)

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
        try:
            answer = self._client.request(method, path, content=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"config-manager does not answer ({type(error).__name__})"
            ) from None
        try:
            found = answer.json() if answer.content else {}
        except ValueError:
            found = {}
        if answer.is_success:
            return found
        raise RefusedError(found if isinstance(found, dict) else {}, answer.status_code)
