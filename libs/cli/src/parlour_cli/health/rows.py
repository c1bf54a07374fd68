"""The health of a fleet as rows of a table. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health

from parlour_cli.health.heard import Roll, is_silent

KEEPER_INTERVAL_S = 10.0
Row = tuple[str, str, str, str, str, str]
HEAD: Row = ("INSTANCE", "STATUS", "CONFIG", "MEMORY", "CPU", "PROBLEM")


@dataclass
class Fleet:
    """The last health of every instance, and when it was heard (monotonic seconds)."""

    workers: Roll = field(default_factory=Roll)
    keeper: tuple[ConfigHealthPayload, float] | None = None

    def see(self, health: Health, now: float) -> None:
        """Take in a message; a will of an earlier run is ignored."""
        self.workers.see(health, now)

    def see_keeper(self, health: ConfigHealthPayload, now: float) -> None:
        """Take in config-manager's."""
        self.keeper = (health, now)

    def healthy(self, now: float) -> bool:
        """Whether everybody who is known is well."""
        return bool(self.workers.instances) and all(row[1] == "healthy" for row in self.rows(now))

    def rows(self, now: float) -> list[Row]:
        """One row an instance."""
        found: list[Row] = []
        if self.keeper is not None:
            state, heard = self.keeper
            status = "healthy" if state.ok else "unhealthy"
            if (state.event or "").split(" ")[0] in ("lwt", "stopping"):
                status = "offline"
            found.append((
                "config-manager", _unless_silent(status, heard, now, KEEPER_INTERVAL_S),
                f"{state.database_status}, {state.operational_mode}", "", "", state.err or "",
            ))  # fmt: skip
        for instance, last in sorted(self.workers.instances.items()):
            health, config = last.health, last.health.config
            text = config.source + (", stale" if config.stale else "")
            if config.checksum:
                text += f" {config.checksum[:8]}"
            found.append((
                instance, _unless_silent(health.status, last.at, now, health.interval_s), text,
                f"{health.load.rss_bytes / 1e6:.0f} MB", f"{health.load.cpu_percent:.0f} %",
                health.err.message if health.err else "",
            ))  # fmt: skip
        return found


def _unless_silent(status: str, heard: float, now: float, interval_s: float) -> str:
    if status != "offline" and is_silent(heard, now, interval_s):
        return "unknown"
    return status
