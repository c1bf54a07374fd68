"""Telling systemd how a process is (``Type=notify``, ``WatchdogSec=``); nothing without systemd.

A process is ready for systemd when its loop turns: then it can be stopped and watched. Whether
it can do its work, which may have to wait for a broker or a model, is told in its health.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping

_MICROSECONDS = 1_000_000


class Notifier:
    """A connection to the manager that started this process, if it asked for one.

    Args:
        address: of its socket; ``@`` leads a name without a file. None: nobody is told.
        watchdog_s: how long it may hear nothing before it ends the process; None: for ever.
    """

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None

    @classmethod
    def of(cls, env: Mapping[str, str], pid: int | None = None) -> Notifier:
        """What the environment says; a watchdog that is meant for another process is none."""
        address = env.get("NOTIFY_SOCKET") or None
        if address is not None and not address.startswith(("/", "@")):
            address = None
        meant = env.get("WATCHDOG_PID") in (None, "", str(os.getpid() if pid is None else pid))
        try:
            limit = int(env.get("WATCHDOG_USEC", "0"))
        except ValueError:
            limit = 0
        return cls(address, limit / _MICROSECONDS if meant and limit > 0 else None)

    def ready(self) -> None:
        """The process can be stopped and watched from now on."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The process ends by itself."""
        self._send("STOPPING=1")

    async def watch(self) -> None:
        """Tell that the loop turns, twice within the time that is given; never returns."""
        self.ready()
        while self.watchdog_s is not None:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)
        await asyncio.Event().wait()

    def _send(self, text: str) -> None:
        """One datagram; a manager that is gone must not disturb the process."""
        if self._address is None:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto(text.encode(), name)
        except OSError:
            return
