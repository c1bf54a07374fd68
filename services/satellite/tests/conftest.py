"""A satellite's room with a stt-worker and a tts-worker made of values, on time that is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from parlour_audio.frames import pcm16_to_bytes, to_pcm16
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript, TurnAbort, TurnClaimed
from parlour_kit.ids import new_id
from parlour_testkit.fakes_room import ToneWake
from parlour_testkit.fakes_stt import LoudnessVad
from satellite.mouth import Report
from satellite.room import Command, Hush, Interrupted, Open, Room
from satellite.virtual import VirtualRoom
from satellite.windows import WINDOW, WINDOW_S

FRAME_MS = 100
RATE = 16_000


@dataclass
class Scene:
    """A room that is led through a script, window by window.

    Attributes:
        claims: whether a stt-worker answers each open.
        sent: by attempt, the frames that the worker got.
        told: every command, with the time of the room.
    """

    room: Room
    walls: VirtualRoom
    claims: bool = True
    worker: str = "stt-worker"
    boot: str = field(default_factory=new_id)
    dead: set[str] = field(default_factory=set)
    sent: dict[int, list[bytes]] = field(default_factory=dict)
    ended: bool = False
    told: list[tuple[float, Command]] = field(default_factory=list)
    now: float = 0.0
    _handed: np.ndarray = field(default_factory=lambda: np.zeros(WINDOW, np.float32))
    _seq: int = 0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / WINDOW_S)):
            heard = self.walls.capture(self._handed)
            self.now += WINDOW_S
            self._handed = self.room.hear(heard, self.now)
            self._carry_out()

    def until(self, done: Callable[[], object], limit_s: float = 60.0) -> float:
        """Let time pass until something is so; returns the time."""
        deadline = self.now + limit_s
        while not done():
            assert self.now < deadline, "it never came"
            self.run(WINDOW_S)
        return self.now

    def _carry_out(self) -> None:
        for command in self.room.out:
            self.told.append((self.now, command))
            if isinstance(command, Hush):
                self._handed = np.zeros(WINDOW, np.float32)
            if isinstance(command, Open) and command.attempt == 1:
                self.sent.clear()
            if isinstance(command, Open) and self.claims and self.worker not in self.dead:
                self.claim(command.turn_id, command.attempt)
        self.room.out.clear()
        hearing = self.room.hearing
        if hearing is not None and hearing.claim is not None:
            for frame in hearing.pending():
                got = self.sent.setdefault(hearing.claim.attempt, [])
                assert frame.seq == len(got), "frames come without gaps, from 0"
                got.append(frame.payload)
                self.ended = frame.end
                hearing.sent(frame, self.now)

    def claim(self, turn_id: str, attempt: int) -> None:
        self.room.claimed(
            TurnClaimed(
                turn_id=turn_id, attempt=attempt, instance=self.worker, lease_ms=5000,
                audio_topic=f"stt/{self.worker}/audio/kitchen/{turn_id}",
            )
        )  # fmt: skip

    def health(self, event: str = "heartbeat", *, boot: str | None = None) -> None:
        """The stt-worker tells how it is; ``lwt`` is its will."""
        self._seq += 1
        gone = event == "lwt"
        if gone:
            self.dead.add(self.worker)
        elif self.worker in self.dead:
            self.dead.discard(self.worker)
            self.boot = new_id()
        self.room.health(
            Health(
                service="stt-worker", instance=self.worker,
                status="offline" if gone else "healthy", ok=not gone, ready=not gone,
                version="0.1.0", boot=boot or self.boot, conn=1, seq=self._seq, interval_s=5.0,
                event=event, issued_at="2026-01-01T00:00:00.000000Z",
            ),
            self.now,
        )  # fmt: skip

    def transcript(self, kind: str = "final", **more: object) -> None:
        assert self.room.hearing is not None
        known = {"turn_id": self.room.hearing.turn_id, "attempt": self.room.hearing.attempt}
        message = Transcript.model_validate({"kind": kind, "text": "yes"} | known | more)
        self.room.transcript(message, self.now)
        self._carry_out()

    def answer(
        self, seconds: float, *, turn: bool = True, loudness: float = 0.3, hertz: float = 200.0
    ) -> str:
        """A tts-worker sends an answer of one sentence, at once; returns its utterance_id."""
        utterance_id = new_id()
        turn_id = new_id() if turn else None
        self.speech("started", utterance_id, turn_id)
        count = round(seconds * 1000 / FRAME_MS)
        time = np.arange(RATE * FRAME_MS // 1000) / RATE
        piece = (np.sin(2 * np.pi * hertz * time) * loudness * 32_767).astype("<i2").tobytes()
        for n in range(count):
            last = str(int(n == count - 1))
            properties = {
                "seq": str(n), "rate": str(RATE), "start_ms": str(n * FRAME_MS), "sentence": "0",
                "end": last, "last": last,
            }  # fmt: skip
            self.room.frame(utterance_id, piece, properties, self.now)
        self.speech("completed", utterance_id, turn_id)
        return utterance_id

    def speech(self, event: str, utterance_id: str, turn_id: str | None, seq: int = 0) -> None:
        self.room.speech(
            Speech.model_validate(
                {"event": event, "utterance_id": utterance_id, "turn_id": turn_id,
                 "instance": "tts-worker", "seq": seq}
            ),
            self.now,
        )  # fmt: skip
        self._carry_out()

    def abort(self, utterance_id: str) -> None:
        turn_id = self.room._turn_of[utterance_id]
        assert turn_id is not None
        self.room.aborted(TurnAbort(turn_id=turn_id, revision=1, reason="test"), self.now)
        self._carry_out()

    def use(self, **settings: object) -> None:
        """Change settings live."""
        self.room.use(self.room.config.model_copy(update=settings), self.now)

    @property
    def opened(self) -> list[Open]:
        return [c for _, c in self.told if isinstance(c, Open)]

    @property
    def interrupted(self) -> list[Interrupted]:
        return [c for _, c in self.told if isinstance(c, Interrupted)]

    def reports(self, event: str | None = None) -> list[tuple[float, Report]]:
        return [
            (at, c) for at, c in self.told
            if isinstance(c, Report) and event in (None, c.event)
        ]  # fmt: skip

    def got(self, attempt: int | None = None) -> np.ndarray:
        """What the worker heard in the last attempt, or in another, as samples."""
        frames = self.sent.get(attempt or max(self.sent, default=1), [])
        return np.frombuffer(b"".join(frames), "<i2").astype(np.float32) / 32_768

    def holds(self, samples: np.ndarray, attempt: int | None = None) -> bool:
        """Whether the worker heard all of this sound, to the last sample."""
        frames = self.sent.get(attempt or max(self.sent, default=1), [])
        return pcm16_to_bytes(to_pcm16(samples)) in b"".join(frames)


QUIET_TONES = {"tone_wake": False, "tone_end": False, "tone_error": False}


@pytest.fixture
def scene() -> Callable[..., Scene]:
    """Makes a room: settings by name, and the walls around it. Tones are off."""

    def make(walls: VirtualRoom | None = None, *, wake: bool = True, **settings: object) -> Scene:
        config = SatelliteConfig.model_validate(QUIET_TONES | settings)
        room = Room(
            config, LoudnessVad(), ToneWake() if wake else None, lambda: str(new_id()),
            latency_s=WINDOW_S,
        )  # fmt: skip
        return Scene(room, walls or VirtualRoom())

    return make


@pytest.fixture
def any_id() -> str:
    return new_id()
