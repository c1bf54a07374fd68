"""What is wanted and what runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from parlour_contracts.messages.requests import ConfigApplied

Row = tuple[str, str, str, str, str, str]
HEAD: Row = ("SERVICE", "INSTANCE", "STATUS", "CHECKSUM", "FROM", "ISSUED")


@dataclass
class Board:
    """What each service should run with, and what each instance says that it runs with."""

    wanted: dict[str, str] = field(default_factory=dict)
    reported: dict[tuple[str, str], ConfigApplied] = field(default_factory=dict)

    def want(self, service: str, checksum: str) -> None:
        """config-manager says what a service should run with."""
        self.wanted[service] = checksum

    def report(self, applied: ConfigApplied) -> None:
        """An instance says what it runs with."""
        self.reported[applied.service, applied.instance] = applied

    def in_sync(self, applied: ConfigApplied) -> bool | None:
        """Whether an instance runs with what is wanted; None when that is not known."""
        wanted = self.wanted.get(applied.service)
        return None if wanted is None else applied.checksum == wanted

    def rows(self) -> list[Row]:
        """One row an instance, in order."""
        found: list[Row] = []
        for _, applied in sorted(self.reported.items()):
            status = (
                applied.status if applied.error is None else f"{applied.status}: {applied.error}"
            )
            if self.in_sync(applied) is False and status == "applied":
                status = "waiting"
            found.append((
                applied.service, applied.instance, status, (applied.checksum or "-")[:12],
                applied.source, applied.model_dump(mode="json")["issued_at"] or "-",
            ))  # fmt: skip
        return found
