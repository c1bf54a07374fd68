"""Something to say that nobody asked for. Pure.

It is no turn: it has no trace, stays out of the history, and the room goes on listening for
its wake word alone while and after it sounds.
"""

from __future__ import annotations

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say

from router.ambient import Ambient
from router.delivery import Subject
from router.utterance import Utterance


class Announcement(Utterance):
    """One ``say``."""

    def __init__(self, site: str, say: Say, config: RouterConfig, ambient: Ambient) -> None:
        subject = Subject(site, voice=say.voice, volume=say.volume)
        super().__init__(say.text, subject, config, ambient)
