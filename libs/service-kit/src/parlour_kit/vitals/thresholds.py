"""Thresholds that do not flap. Pure: values and times in, a yes or no out."""

from __future__ import annotations


class Hysteresis:
    """On from one value upwards, off below another; in between it stays as it is.

    Args:
        on: the value that switches it on.
        off: a value below this switches it off.
        above: only what exceeds ``on`` switches it on; ``on`` itself does not.

    Raises:
        ValueError: ``off`` is above ``on``.

    A threshold that falls is one that rises on negated values.
    """

    def __init__(self, on: float, off: float, *, above: bool = False) -> None:
        if off > on:
            raise ValueError("a threshold must end at or below the value where it begins")
        self.is_on = False
        self._on = on
        self._off = off
        self._above = above

    def update(self, value: float, _now_s: float = 0.0) -> bool:
        """Take a value in and say whether it is on."""
        if value > self._on or (value == self._on and not self._above):
            self.is_on = True
        elif value < self._off:
            self.is_on = False
        return self.is_on


class Sustained:
    """On when a value has reached a limit without a break, off when it has been low for a while.

    Args:
        on: the limit.
        off: low is below this.
        for_s: how long the limit must have been reached.
        calm_s: how long the value must have been low.
    """

    def __init__(self, on: float, off: float, *, for_s: float, calm_s: float) -> None:
        if off > on:
            raise ValueError("a threshold must end at or below the value where it begins")
        self.is_on = False
        self._on, self._off = on, off
        self._for_s, self._calm_s = for_s, calm_s
        self._high_since: float | None = None
        self._low_since: float | None = None

    def update(self, value: float, now_s: float) -> bool:
        """Take a value of this moment (monotonic seconds) in and say whether it is on."""
        self._high_since = _since(self._high_since, now_s, still=value >= self._on)
        self._low_since = _since(self._low_since, now_s, still=value < self._off)
        if self._high_since is not None and now_s - self._high_since >= self._for_s:
            self.is_on = True
        elif self._low_since is not None and now_s - self._low_since >= self._calm_s:
            self.is_on = False
        return self.is_on


def _since(before: float | None, now_s: float, *, still: bool) -> float | None:
    if not still:
        return None
    return now_s if before is None else before
