"""Whether configuration still reaches a service: pure bookkeeping of what was heard when.

A service that hears nothing keeps running, and says that its settings may be old.
"""

from __future__ import annotations

import re

REFRESH_S = 6 * 3600.0
"""config-manager signs every configuration again so often."""

DEFAULT_INTERVAL_S = 10.0
MISSED = 3

_TOKENS = re.compile(rb'(?:^|[ "])(boot|seq|every)=([0-9A-Za-z.-]{1,64})')
_SILENT = re.compile(rb'"event": ?"(?:lwt|stopping)\b')


class Freshness:
    """Times are seconds of a monotonic clock; the wall clock has no part in it."""

    def __init__(self, now: float) -> None:
        self._valid = now
        self._manager = now
        self._interval = DEFAULT_INTERVAL_S
        self._beat: tuple[bytes | None, bytes | None] | None = None

    def valid(self, now: float) -> None:
        """A message that passed every check came, be it the same again."""
        self._valid = now

    def manager(self, payload: bytes, now: float) -> None:
        """The health of config-manager came.

        A retained message that is brought again is no sign of life: only a ``seq`` that moved
        is, and the manager's own farewell or will is none.
        """
        if _SILENT.search(payload):
            return
        tokens = dict(_TOKENS.findall(payload[:65_536]))
        beat = (tokens.get(b"boot"), tokens.get(b"seq"))
        if beat == self._beat and beat != (None, None):
            return
        self._beat = beat
        self._manager = now
        try:
            self._interval = min(max(float(tokens[b"every"]), 1.0), 3600.0)
        except (KeyError, ValueError):
            self._interval = DEFAULT_INTERVAL_S

    def stale(self, now: float) -> bool:
        """Two refresh periods without a valid message, or three beats of the manager missed."""
        return now - self._valid > 2 * REFRESH_S or now - self._manager > MISSED * self._interval
