"""When something happened, as people read it: what the wall clock showed, believed or not.

``issued_at`` is a counter and no time of day; where nobody knows the hour it stands still for
people. So what is stored for them comes from the wall clock. Only within one service it never
goes back and never repeats, even where the clock does: a row of history finds the version that it
belongs to by its moment.
"""

from __future__ import annotations

from typing import Final

from parlour_config.clock import add_us

BUILT: Final = "2026-01-01T00:00:00.000000Z"
"""No machine that runs this release lives before this day: an earlier moment was written by a clock
that nobody had set, and tells no age."""


def moment_after(last: str, shown: str) -> str:
    """The moment of a service's next version.

    Args:
        last: of its newest version.
        shown: what the wall clock shows, in the same form.

    Raises:
        ClockError: ``last`` is no moment, or the last one that there is.
    """
    return max(shown, add_us(last, 1))
