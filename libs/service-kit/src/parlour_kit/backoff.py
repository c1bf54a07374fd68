"""How long to wait before the next try: exponential, with full jitter."""

from __future__ import annotations

import random


class Backoff:
    """Delays between 0 and a ceiling that doubles from ``base`` to ``cap`` seconds.

    Full jitter keeps a fleet that lost its broker from coming back all at once.
    """

    def __init__(
        self, base: float = 0.5, cap: float = 30.0, rng: random.Random | None = None
    ) -> None:
        self.base = base
        self.cap = cap
        self._rng = rng or random.Random()  # noqa: S311  # spreads load, guards no secret
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait now."""
        ceiling = min(self.cap, self.base * 2.0**self._tries)
        if ceiling < self.cap:
            self._tries += 1
        return self._rng.uniform(0, ceiling)

    def reset(self) -> None:
        """Begin again: the last try succeeded."""
        self._tries = 0
