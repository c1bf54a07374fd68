"""The loudspeaker of a room: one virtual player per utterance. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from parlour_audio import resample
from parlour_audio.frames import Pcm16, to_float, to_pcm16
from parlour_contracts.messages.tts import Speech
from parlour_kit.messenger import Frame

from parlour_cli.talk.player import Chunk, Player, Report

REMEMBERED = 64


@dataclass(frozen=True)
class Played:
    """A report about one utterance."""

    utterance_id: str
    report: Report


class Loudspeakers:
    """Whatever is spoken in the room is played; see :class:`Player`."""

    def __init__(self) -> None:
        self.players: OrderedDict[str, Player] = OrderedDict()
        self.heard_at: float | None = None

    def frame(self, utterance_id: str, frame: Frame, now: float) -> None:
        """Take a frame in."""
        self.heard_at = now
        self._player(utterance_id).frame(frame.payload, frame.properties, now)

    def fresh(self) -> list[Chunk]:
        """The sound that has come into its order since the last call."""
        return [chunk for player in self.players.values() for chunk in player.fresh()]

    def speech(self, speech: Speech, now: float) -> list[Played]:
        """What happened to a sentence: an utterance that is cancelled is silent at once."""
        player = self.players.get(speech.utterance_id)
        if player is None:
            return []
        if speech.event == "cancelled":
            return [Played(speech.utterance_id, r) for r in player.stop(now)]
        return []

    def poll(self, now: float) -> list[Played]:
        """What is to be reported by this time."""
        return [Played(u, r) for u, player in self.players.items() for r in player.poll(now)]

    @property
    def next_at(self) -> float | None:
        """When to poll again at the latest."""
        times = [at for p in self.players.values() if (at := p.next_at) is not None]
        return min(times, default=None)

    def close(self) -> None:
        """No more comes: what is there is heard to its end."""
        for player in self.players.values():
            player.close()

    def is_quiet(self, utterances: Iterable[str]) -> bool:
        """Whether these utterances, as far as they came, have been heard to their end."""
        return all(self.players[u].over for u in utterances if u in self.players)

    def audible_at(self, utterances: Iterable[str]) -> float | None:
        """When the first audible sample of these utterances is heard."""
        times = [
            at for u in utterances
            if u in self.players and (at := self.players[u].audible_at) is not None
        ]  # fmt: skip
        return min(times, default=None)

    def sound(self, utterances: Iterable[str]) -> tuple[Pcm16, int]:
        """The sound of these utterances, one after the other, and its rate in Hz."""
        found = [self.players[u].sound() for u in utterances
                 if u in self.players and self.players[u].chunks]  # fmt: skip
        if not found:
            return np.zeros(0, np.int16), 16_000
        rate = found[0][1]
        return np.concatenate(
            [s if r == rate else to_pcm16(resample(to_float(s), r, rate)) for s, r in found]
        ), rate

    def _player(self, utterance_id: str) -> Player:
        if utterance_id not in self.players:
            self.players[utterance_id] = Player()
            if len(self.players) > REMEMBERED:
                self.players.popitem(last=False)
        return self.players[utterance_id]
