"""The health of a fleet as rows of a table, and as an object for programs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health
from parlour_kit.fleet import FleetHealth, Heard, Roll, Sign, aggregate, sign_of, sign_of_keeper

Row = tuple[str, ...]
HEAD: Row = ("INSTANCE", "STATUS", "AGE", "CONFIG", "MEMORY", "CPU", "THROTTLE")


@dataclass
class Fleet:
    """The last health of every instance; times are of the caller's clock, in seconds."""

    roll: Roll = field(default_factory=Roll)
    messages: dict[str, Health | ConfigHealthPayload] = field(default_factory=dict)

    def see(self, health: Health, now: float, wall: datetime | None = None) -> None:
        """Take in a message; a will of an earlier run is ignored."""
        self._take(sign_of(health), health, now, wall)

    def see_keeper(
        self, health: ConfigHealthPayload, now: float, wall: datetime | None = None
    ) -> None:
        """Take in config-manager's."""
        self._take(sign_of_keeper(health), health, now, wall)

    def whole(self, now: float, wall: datetime) -> FleetHealth:
        """All instances together."""
        return aggregate(self.roll.instances.values(), now, wall)

    def rows(self, now: float) -> list[Row]:
        """One row an instance, as :data:`HEAD` says."""
        return [
            (name, heard.condition(now), f"{max(0.0, now - heard.at):.0f} s", *self._facts(name),
             heard.sign.throttle)
            for name, heard in self._sorted()
        ]  # fmt: skip

    def problems(self) -> list[tuple[str, str, str]]:
        """Who says that something is wrong, what it is, and what to do about it."""
        found = [(name, problem_of(h.sign), h.sign.hint) for name, h in self._sorted()]
        return [(name, problem, hint) for name, problem, hint in found if problem]

    def document(self, now: float, wall: datetime) -> dict[str, Any]:
        """The same for programs."""
        whole = self.whole(now, wall)
        return {
            "status": whole.status,
            "components": dict(whole.components),
            "summary": whole.summary,
            "instances": [
                {
                    "instance": name,
                    "service": heard.sign.service,
                    "status": heard.condition(now),
                    "ready": heard.sign.ready,
                    "age_s": round(max(0.0, now - heard.at), 1),
                    "components": dict(heard.sign.components),
                    "throttle": heard.sign.throttle,
                    "problem": problem_of(heard.sign) or None,
                    "hint": heard.sign.hint or None,
                }
                for name, heard in self._sorted()
            ],
        }

    def _take(
        self,
        sign: Sign,
        message: Health | ConfigHealthPayload,
        now: float,
        wall: datetime | None,
    ) -> None:
        if self.roll.see(sign, now, wall):
            self.messages[sign.instance] = message

    def _sorted(self) -> list[tuple[str, Heard]]:
        return sorted(self.roll.instances.items())

    def _facts(self, instance: str) -> tuple[str, str, str]:
        """What it runs with, and what it uses."""
        message = self.messages[instance]
        if isinstance(message, ConfigHealthPayload):
            return f"{message.database_status}, {message.operational_mode}", "", ""
        config, load = message.config, message.load
        text = config.source + (", stale" if config.stale else "")
        if config.checksum:
            text += f" {config.checksum[:8]}"
        return text, f"{load.rss_bytes / 1e6:.0f} MB", f"{load.cpu_percent:.0f} %"


def problem_of(sign: Sign) -> str:
    """What an instance says is wrong: its error, else the components that do not work."""
    wrong = [f"{d.component_name}: {d.details or 'does not work'}" for d in sign.details]
    return sign.problem or "; ".join(wrong)


def summary_line(whole: FleetHealth) -> str:
    """The fleet in one line."""
    components = ", ".join(f"{n} {'ok' if w else 'down'}" for n, w in whole.components.items())
    return f"{whole.status}: {components}" + (f" ({whole.summary})" if whole.summary else "")
