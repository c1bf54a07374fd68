"""What is recognised ahead of the endpoint, and whether it still holds when that comes. Pure.

A pause of a fifth of a second is often the end. What was said up to it is recognised while the
silence goes on; when nobody speaks until the endpoint, the transcript is there, or on its way.
"""

from __future__ import annotations

from stt_worker.actions import Clip, Presume
from stt_worker.engine import Recognition


class Presumption:
    """The last one of a turn.

    Attributes:
        recognition: what was recognised, once it is.
        confirmed: the clip as the endpoint knows it, once that has come to the same end.
    """

    def __init__(self) -> None:
        self.recognition: Recognition | None = None
        self.confirmed: Clip | None = None
        self._clip: Clip | None = None
        self._revision = 0

    def begin(self, clip: Clip) -> Presume:
        """Somebody paused: what was before is void."""
        self._revision += 1
        self._clip, self.recognition = clip, None
        return Presume(clip, self._revision)

    def answered(self, clip: Clip, recognition: Recognition | None) -> bool:
        """The recogniser has an answer; whether it is of the last presumption.

        Without one there is nothing any more that an endpoint could confirm.
        """
        if clip is not self._clip:
            return False
        self.recognition = recognition
        if recognition is None:
            self._clip = None
        return True

    def confirm(self, clip: Clip) -> bool:
        """The endpoint has come; whether it ends the same speech.

        A sender that says that its stream is over means all of it.
        """
        presumed = self._clip
        if presumed is None or clip.asked:
            return False
        same = (presumed.speech_start_ms, presumed.speech_end_ms)
        if same != (clip.speech_start_ms, clip.speech_end_ms):
            return False
        self.confirmed = clip
        return True

    def revision_of(self, recognition: Recognition) -> int:
        """The revision of what became final: that of the presumption, or the next."""
        if recognition is self.recognition:
            return max(1, self._revision)
        return self._revision + 1
