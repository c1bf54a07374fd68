"""What drills of a restore brought, in numbers and in words."""  # noqa: INP001

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

GOAL_S = 5.0
"""So much of what was changed last may be missing."""


@dataclass
class Figures:
    """What the drills brought.

    Attributes:
        drills: that were finished.
        lost: changes that each copy lacked, of those before the first kill.
        late_s: seconds from the oldest of these to the first kill, one per drill.
        restore_s: seconds that each restore took.
        converged_s: seconds from each start until all services ran with the restored settings.
        accepted: changes.
        earlier: what was said where a state before the newest was restored.
        problems: what must not happen.
    """

    drills: int = 0
    lost: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    restore_s: list[float] = field(default_factory=list)
    converged_s: list[float] = field(default_factory=list)
    accepted: int = 0
    earlier: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def late(self) -> int:
        """How many copies lacked more than they may."""
        return sum(seconds > GOAL_S for seconds in self.late_s)

    def in_words(self, seconds: float) -> str:
        """All of it in lines.

        Args:
            seconds: that the drills took.
        """
        head = (
            f"{self.drills} drills in {seconds:.0f} s under {self.accepted} changes: copies lacked "
            f"{_span(self.late_s)} s ({sum(self.lost)} changes in all, {self.late} copies more "
            f"than {GOAL_S:.0f} s), a restore took {_span(self.restore_s)} s, all in line "
            f"{_span(self.converged_s)} s after the start; {len(self.earlier)} restores of an "
            f"earlier state than the newest, {len(self.problems)} problems"
        )
        return "".join(f"{line}\n" for line in (head, *(f"  {x}" for x in self.earlier),
                                                *(f"  {x}" for x in self.problems)))  # fmt: skip


def _span(seconds: list[float]) -> str:
    found = seconds or [0.0]
    return f"{statistics.median(found):.1f} (at most {max(found):.1f})"
