"""A real loudspeaker, where a player program and a sound card exist."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from parlour_audio.frames import pcm16_to_bytes

from parlour_cli.talk.player import Chunk

DRAIN_S = 5.0


def find_player() -> str | None:
    """The program that would play, or None when nothing could be heard."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and (Path(runtime) / "pipewire-0").exists() and (found := shutil.which("pw-play")):
        return found
    cards = Path("/proc/asound/cards")
    try:
        has_card = "no soundcards" not in cards.read_text()
    except OSError:
        has_card = False
    return shutil.which("aplay") if has_card else None


def arguments(player: str, rate: int) -> list[str]:
    """How to call it, so that it plays mono PCM16 of ``rate`` Hz from its standard input."""
    if Path(player).name == "pw-play":
        return [player, "--raw", "--format", "s16", "--rate", str(rate), "--channels", "1", "-"]
    return [player, "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate), "-"]


class Aloud:
    """Feeds a player program; if it fails, the answer is merely not heard."""

    def __init__(self, player: str) -> None:
        self._player = player
        self._process: asyncio.subprocess.Process | None = None
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._feed())

    def hear(self, chunk: Chunk) -> None:
        """Play this after what came before."""
        self._chunks.put_nowait(chunk)

    async def finish(self) -> None:
        """Return when all has been played."""
        self._chunks.put_nowait(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._task
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    async def _feed(self) -> None:
        try:
            while (chunk := await self._chunks.get()) is not None:
                if self._process is None:
                    self._process = await asyncio.create_subprocess_exec(
                        *arguments(self._player, chunk.rate),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.DEVNULL,
                        stderr=asyncio.subprocess.DEVNULL,
                    )
                assert self._process.stdin is not None
                self._process.stdin.write(pcm16_to_bytes(chunk.samples))
                await self._process.stdin.drain()
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                await self._process.wait()
        except OSError:
            return
