"""Prints what :mod:`parlour_cli.talk.watching` says, as it happens."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

from parlour_contracts.topics import Topic
from parlour_kit.clock import utc_text
from parlour_kit.messenger import Messenger
from pydantic import BaseModel

from parlour_cli.talk.watching import TOPICS, Watcher


async def watch_rooms(messenger: Messenger, site: str | None, *, as_json: bool) -> None:
    """Print events of a room, or of all, for ever.

    Args:
        messenger: a person's connection.
        site: the room; all when None.
        as_json: one JSON object per line, ``at``, ``topic``, ``message`` and the topic's
            levels, instead of words.
    """
    watcher = Watcher()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(message: BaseModel, levels: dict[str, str], topic: Topic[Any]) -> None:
        try:
            _print(watcher, messenger, topic, message, levels, as_json=as_json)
        except BrokenPipeError as error:
            if not gone.done():
                gone.set_exception(error)

    for topic in TOPICS:
        narrowed = {"site": site} if site is not None and "site" in topic.params else {}
        await messenger.on(topic, functools.partial(note, topic=topic), **narrowed)
    await gone


def _print(
    watcher: Watcher, messenger: Messenger, topic: Topic[Any], message: BaseModel,
    levels: dict[str, str], *, as_json: bool,
) -> None:  # fmt: skip
    wall = messenger.clock.wall()
    if as_json:
        event = {"at": utc_text(wall), "topic": topic.name, **levels,
                 "message": message.model_dump(mode="json")}  # fmt: skip
        print(json.dumps(event, ensure_ascii=False), flush=True)
        return
    line = watcher.line(message, levels)
    if line is not None:
        who = levels.get("site") or levels.get("instance") or ""
        print(f"{wall.astimezone():%H:%M:%S}.{wall.microsecond // 1000:03d}  {who:<14} {line}",
              flush=True)  # fmt: skip
