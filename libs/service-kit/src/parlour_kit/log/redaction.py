"""Takes secrets out of text: those that are known, and what looks like one.

Whoever reads a password, a token or a key says so once with :func:`keep_secret`; from then on no
log of this process holds it. The patterns are for what nobody told, such as the address of a
library's error.
"""

from __future__ import annotations

import re
import threading
from urllib.parse import quote

REDACTED = "[redacted]"

SHORTEST = 4
"""Anything shorter stands in every text, and guards nothing."""

WHOLE_WORD = 8
"""A shorter secret is only taken out where it stands alone: it may be a part of other words."""

REMEMBERED = 4096

_PATTERNS = tuple(
    (hint, re.compile(pattern, re.DOTALL))
    for hint, pattern in (
        ("private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"),
        ("bearer", r"\bBearer\b(?:\s+[^\s\"',;]+)?"),
        ("bearer", r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{16,}"),
        (
            "authorization",
            r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?\S+(?:\s+[A-Za-z0-9+/=._~-]{8,})?",
        ),
        ("eyj", r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}"),
        ("prl_", r"\bprl_[A-Za-z0-9_-]{8,}"),
        ("sk-", r"\bsk-[A-Za-z0-9_-]{16,}"),
        ("@", r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    )
)
_URL = re.compile(r"(?<=://)[^\s\"']{1,256}@")
_WORDS = (
    r"pass(?:word|wd|phrase)?|secret|token|credentials?|cookie|authorization"
    r"|api[_-]?key|private[_-]?key|master[_-]?key|hmac[_-]?key|service[_-]?key"
)
_HINT = re.compile(_WORDS)
_ASSIGNED = re.compile(
    rf"(?i)((?:{_WORDS})(?:[_.-][\w.-]{{0,32}})?"
    r"(?:[\"']\s*:\s*[\"']|\s?=\s?[\"']?|:\s*(?=[A-Za-z0-9+/=_-]{16})))(?!\[redacted)([^\s\"',;&}\]]+)"
)
_KEYLIKE = re.compile(r"[A-Za-z0-9+/_:.-]{40,}={0,2}")
_KEY_ASSIGNED = re.compile(
    r"(?i)(key[\w.-]{0,32}[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9+/_:.-]{40,}={0,2}"
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_.-])(?:{_WORDS})$")


def says_secret(name: str, value: object) -> bool:
    """Whether a value must not be shown because of the name it goes by.

    Numbers, truth values and nothing are no secrets; what is merely called a key is one when it
    looks like one.
    """
    if value is None or isinstance(value, bool | int | float):
        return False
    if _SECRET_NAME.search(name):
        return True
    return "key" in name.lower() and isinstance(value, str) and bool(_KEYLIKE.fullmatch(value))


class Redactor:
    """Knows secrets and takes them out of texts; of any thread."""

    def __init__(self) -> None:
        self._secrets: dict[str, None] = {}
        self._ordered: tuple[str, ...] | None = ()
        self._lock = threading.Lock()

    def keep(self, *secrets: str | None) -> None:
        """Know these secrets from now on, also as they stand in an address."""
        new = dict.fromkeys(text for secret in secrets if secret for text in _forms(secret))
        with self._lock:
            self._secrets |= new
            while len(self._secrets) > REMEMBERED:
                del self._secrets[next(iter(self._secrets))]
            self._ordered = None

    def forget(self) -> None:
        """Know none."""
        with self._lock:
            self._secrets, self._ordered = {}, ()

    def _known(self) -> tuple[str, ...]:
        """The longest first: one may be a part of another."""
        with self._lock:
            if self._ordered is None:
                self._ordered = tuple(sorted(self._secrets, key=len, reverse=True))
            return self._ordered

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known():
            if secret in text:
                text = _without(text, secret)
        low = text.lower()
        # Most lines hold none of it; only those that may are searched thoroughly.
        if "://" in low:
            text = _URL.sub(f"{REDACTED}@", text)
        for hint, pattern in _PATTERNS:
            if hint in low:
                text = pattern.sub(REDACTED, text)
        if "key" in low:
            text = _KEY_ASSIGNED.sub(rf"\1{REDACTED}", text)
        return _ASSIGNED.sub(rf"\1{REDACTED}", text) if _HINT.search(low) else text


def _forms(secret: str) -> list[str]:
    secret = secret.strip()
    if len(secret) < SHORTEST:
        return []
    return list(dict.fromkeys((secret, quote(secret, safe=""), repr(secret)[1:-1])))


def _without(text: str, secret: str) -> str:
    if len(secret) >= WHOLE_WORD:
        return text.replace(secret, REDACTED)
    alone = rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"
    return re.sub(alone, REDACTED, text)


_REDACTOR = Redactor()


def keep_secret(*secrets: str | None) -> None:
    """Let no log of this process hold these texts; None and empty ones are no secrets."""
    _REDACTOR.keep(*secrets)


def forget_secrets() -> None:
    """Know no secret any more; for tests."""
    _REDACTOR.forget()


def redacted(text: str) -> str:
    """The text without the secrets of this process."""
    return _REDACTOR.clean(text)
