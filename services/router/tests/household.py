"""A room whose wall clock moves with its monotonic one, with a voice that speaks at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from parlour_contracts.messages.health import Health
from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id
from router.ambient import Ambient
from router.desk import Kept
from router.room import Room

from .pure import Bench

BEGIN = datetime(2026, 11, 24, 14, 5, tzinfo=UTC)
"""A Tuesday."""


@dataclass
class Household(Bench):
    """A room that is asked for what its desk can do; its voice takes a second for a sentence."""

    begin: datetime = BEGIN
    commands: list[str] = field(default_factory=list)
    has_voice: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._began = self.now
        ambient = Ambient(
            lambda: self.now, lambda: utc_text(self.wall), new_id, self.workers, "router"
        )
        self.room = Room(
            "kitchen", self.config, ambient, lambda _site, _session, step: self.steps.append(step),
            self.commands.append,
        )  # fmt: skip
        if self.has_voice:
            self.voice_comes()

    @property
    def wall(self) -> datetime:
        return self.begin + timedelta(seconds=self.now - self._began)

    def voice_comes(self) -> None:
        """A tts-worker is ready, and goes on to be."""
        self.workers.note(Health.model_validate({
            "service": "tts-worker", "instance": "tts-worker", "status": "healthy", "ok": True,
            "ready": True, "version": "0.1.0", "boot": new_id(), "conn": 1, "seq": 1,
            "interval_s": 3600.0, "issued_at": "2026-01-01T00:00:00.000000Z", "event": "birth",
        }))  # fmt: skip

    def command(self, text: str) -> str:
        """Ask for something; returns what was said, once it has sounded."""
        before = len(self.sentences)
        self.ask(text)
        return self.hear_out(before)

    def hear_out(self, before: int) -> str:
        """Have spoken what was sent from then on, and wait until it was heard."""
        spoken = self.sentences[before:]
        for request in spoken:
            self.speech(request, "sentence" if request.text else "completed")
        self.wait(1.0 * len(spoken) + 0.1)
        return " ".join(request.text for request in spoken)

    def rings_within(self, seconds: float) -> list[tuple[float, str]]:
        """What is announced, and how many seconds from now; each sounds for a second."""
        began, rung, seen = self.now, [], len(self.sentences)
        while True:
            for request in self.sentences[seen:]:
                if request.seq == 0:
                    rung.append((round(self.now - began, 1), request.text))
                self.speech(request)
            seen = len(self.sentences)
            due = self.room.deadline
            if due is None or due > began + seconds:
                break
            self.now = max(self.now, due)
            self.take(self.room.tick())
        self.now = max(self.now, began + seconds)
        return rung

    def restarted(self, after_s: float, kept: Kept | None = None) -> Household:
        """Another run of the router, so many seconds later."""
        again = Household(self.config, begin=self.wall + timedelta(seconds=after_s))
        again.room.desk.restore(self.room.desk.kept if kept is None else kept)
        return again
