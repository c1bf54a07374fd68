"""From an MQTT message to a request, or to the answer that refuses it: pure.

Who asks is a level of the topic, which the broker enforces; nothing in the body can change it.
Where the answer goes is the sender's choice only below its own name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from parlour_config.canonical import MAX_REQUEST_BYTES, load
from parlour_config.errors import RefusedJsonError
from parlour_contracts.base import NAME_PATTERN
from parlour_contracts.messages.requests import (
    ALL_SERVICES,
    TRANSACTION_PATTERN,
    ConfigAnswer,
    ConfigRequest,
    Problem,
)
from parlour_kit.bus import Message
from pydantic import ValidationError

from config_manager.commands import RefusedError, derived_transaction
from config_manager.commands.rights import rule_of

ANSWERS = "system/config-response"
MAX_RESPONSE_TOPIC_BYTES = 200
MAX_CORRELATION_BYTES = 64
MAX_KEYS = 1000
MAX_ANSWER_BYTES = 500_000
"""Below what the broker passes on."""

_REQUEST = re.compile(r"system/config-request/([^/]*)/([^/]*)/([^/]*)")
_NAME = re.compile(NAME_PATTERN)
_TRANSACTION = re.compile(TRANSACTION_PATTERN)
_QUIET = {"error", "message", "hint", "current_version", "details", "retry_after_s"}
"""Fields that an answer leaves out when they have nothing to say."""


@dataclass(frozen=True)
class Asked:
    """Who asks for what, and where the answer goes.

    Attributes:
        transaction: as given or derived; None until the body was read.
        derived: nobody gave a transaction.
        response_topic: the sender's choice, if it is one that counts.
    """

    topic: str
    user: str
    op: str
    service: str
    transaction: str | None = None
    derived: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None

    def answer_topic(self, answer: ConfigAnswer) -> str:
        """Where the answer goes."""
        if self.response_topic is not None:
            return self.response_topic
        return f"{ANSWERS}/{self.user}/{self.op}/{self.service}/{answer.status}"


def addressed(message: Message) -> Asked | None:
    """Who asks, from the topic; None when nobody could be answered."""
    match = _REQUEST.fullmatch(message.topic)
    if match is None or _NAME.fullmatch(match[1]) is None:
        return None
    user, op, service = match.groups()
    return Asked(
        message.topic,
        user,
        op,
        service,
        response_topic=_response_topic(user, message.response_topic),
        correlation=_short(message.correlation),
    )


def identified(asked: Asked, payload: bytes) -> tuple[Asked, Any]:
    """The request with its transaction, and its body as JSON; a body too large is not read.

    The transaction is known even where the rest of the body is refused.

    Raises:
        RefusedError: the body is no JSON that anybody should read.
    """
    try:
        body = load(payload, MAX_REQUEST_BYTES)
    except RefusedJsonError as error:
        if error.code == "TOO_LARGE":
            raise RefusedError(
                "PAYLOAD_TOO_LARGE",
                f"a request over MQTT has at most {MAX_REQUEST_BYTES} bytes",
                hint="use several patches, or REST",
            ) from None
        raise RefusedError(
            "INVALID_JSON",
            f"the body cannot be read ({error.code}): {error}",
            hint="send a JSON object, at least {}",
        ) from None
    given = body.get("transaction") if isinstance(body, dict) else None
    if isinstance(given, str) and _TRANSACTION.fullmatch(given):
        return replace(asked, transaction=given), body
    text = _text(asked.correlation)
    if given is None and text is not None:
        return replace(asked, transaction=text), body
    derived = derived_transaction(asked.topic.encode(), payload)
    return replace(asked, transaction=derived, derived=True), body


def checked(asked: Asked, body: object, *, retained: bool, now: datetime | None) -> ConfigRequest:
    """The request's body as its model.

    Args:
        asked: from the topic.
        body: as JSON.
        retained: the message was sent to be retained.
        now: the time, if it may be believed.

    Raises:
        RefusedError: it breaks a rule of requests.
    """
    if retained:
        raise RefusedError(
            "RETAINED_REQUEST",
            "a request must not be retained: it would be carried out again and again",
            hint="send it without -r, and empty the topic with: mosquitto_pub -r -n",
        )
    rule_of(asked.op)
    if not isinstance(body, dict):
        raise RefusedError("INVALID_REQUEST", "the body must be an object", hint="send {}")
    if _keys(body) > MAX_KEYS:
        raise RefusedError(
            "INVALID_REQUEST",
            f"a request has at most {MAX_KEYS} keys",
            hint="send several patches",
        )
    try:
        request = ConfigRequest.model_validate(body)
    except ValidationError as error:
        raise RefusedError(
            "INVALID_REQUEST",
            "the body has something that a request does not know",
            hint="see the table of operations in the documentation",
            details=_problems(error),
        ) from None
    if request.service is not None and request.service != asked.service:
        raise RefusedError(
            "INVALID_REQUEST",
            "the body names another service than the topic",
            hint="leave it out",
        )
    if asked.service != ALL_SERVICES and _NAME.fullmatch(asked.service) is None:
        raise RefusedError(
            "UNKNOWN_SERVICE",
            "no service can have such a name",
            hint="ask for the list on _all",
        )
    if request.expires_at is not None and now is not None and request.expires_at < now:
        raise RefusedError("EXPIRED", "the request came too late", hint="send it again")
    return request


def rendered(answer: ConfigAnswer) -> bytes:
    """The bytes of an answer; what has nothing to say is left out."""
    fields = answer.model_dump(mode="json")
    shown = {k: v for k, v in fields.items() if v is not None or k not in _QUIET}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def _response_topic(user: str, topic: str | None) -> str | None:
    """A response topic counts only below the sender's own name."""
    if topic is None or not topic.startswith(f"{ANSWERS}/{user}/"):
        return None
    if len(topic.encode()) > MAX_RESPONSE_TOPIC_BYTES or set(topic) & {"+", "#", "\0"}:
        return None
    return topic


def _short(correlation: bytes | None) -> bytes | None:
    return correlation if correlation and len(correlation) <= MAX_CORRELATION_BYTES else None


def _text(correlation: bytes | None) -> str | None:
    """Correlation data that may serve as a transaction."""
    try:
        text = (correlation or b"").decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if _TRANSACTION.fullmatch(text) else None


def _keys(value: object) -> int:
    """How many keys a body has in all its objects."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(item) for item in value.values())
    if isinstance(value, list):
        return sum(_keys(item) for item in value)
    return 0


def _problems(error: ValidationError) -> list[Problem]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Problem(
            key=".".join(str(part) for part in item["loc"])[:200] or "body",
            problem="is not known here" if item["type"] == "extra_forbidden" else item["msg"][:500],
        )
        for item in found[:20]
    ]
