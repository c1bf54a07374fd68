"""When a voice command is over, by the rules of the chain that is compared with. Pure.

The numbers are those of Home Assistant's pipeline and of wyoming-faster-whisper 3.8.1
(``--vad-endpointing``): a command has begun after 0.3 s of speech, lasts at least 1 s and ends
after 0.7 s of silence. The two differ in what a pause inside the command does:

* ``wyoming``: any speech starts the count of silence anew.
* ``homeassistant``: the count goes on through pauses, and only 1 s of unbroken speech starts it
  anew, so a command with pauses ends sooner, at the risk of losing its last words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal["wyoming", "homeassistant"]


@dataclass
class Endpointer:
    """Takes one probability of speech per window; `push` is True once the command is over."""

    rule: Rule = "wyoming"
    silence_s: float = 0.7
    speech_s: float = 0.3
    command_s: float = 1.0
    timeout_s: float = 15.0
    start_threshold: float = 0.2
    threshold: float = 0.5
    anew_s: float = 1.0

    def __post_init__(self) -> None:
        """Begin before the command."""
        self.in_command = False
        self.timed_out = False
        self._total = 0.0
        self._speech = 0.0
        self._silence = 0.0
        self._command = 0.0
        self._run = 0.0

    def push(self, window_s: float, probability: float) -> bool:
        """Whether this window of ``window_s`` seconds ends the command.

        Silence that never becomes a command ends after ``timeout_s``.
        """
        self._total += window_s
        if self._total >= self.timeout_s:
            self.timed_out = True
            return True
        if not self.in_command:
            self._before(window_s, probability)
            return False
        self._command += window_s
        if probability > self.threshold:
            self._run += window_s
            if self.rule == "wyoming" or self._run >= self.anew_s:
                self._silence = self._run = 0.0
        else:
            self._run = 0.0
            self._silence += window_s
        return self._silence >= self.silence_s and self._command >= self.command_s

    def _before(self, window_s: float, probability: float) -> None:
        if probability > self.start_threshold:
            self._speech += window_s
            self._run = 0.0
        else:
            self._run += window_s
            if self.rule == "wyoming" or self._run >= self.anew_s:
                self._speech = 0.0
        if self._speech >= self.speech_s:
            self.in_command = True
            self._command, self._run = self._speech, 0.0
