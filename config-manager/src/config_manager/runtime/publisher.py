"""From the outbox to the broker: every committed message goes out, the newest of a topic first.

A change is committed together with its message, so nothing that was accepted can be lost on the
way: what is in the outbox is sent until the broker has acknowledged it, across restarts of either
side. Only the newest message of a topic is sent, since services want the last word. Rows go away
in batches a moment later, because each deletion costs a flush of the disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock
from parlour_kit.errors import BusError, NotConnectedError, PublishRefusedError

from config_manager.errors import StoreError

OUTSTANDING = 20
"""Messages under way at once (section 6, trap 3)."""

BATCH = 256
FORGET_AFTER_S = 0.2
"""How long acknowledged rows wait for company before they are deleted."""

RETRY_S = 5.0
REST_S = 1.0
STUCK_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that waits; ``id`` grows with every commit."""

    id: int
    topic: str
    payload: bytes
    retain: bool
    expiry_s: int | None


class Outbox(Protocol):
    """The rows of the database's table, as the publisher needs them."""

    async def newest(self, after: int, limit: int) -> Sequence[OutboxRow]:
        """The first rows beyond an id, in order of their ids."""
        ...

    async def done(self, acknowledged: Sequence[tuple[str, int]]) -> None:
        """Delete each topic's rows up to an id."""
        ...

    async def size(self) -> int:
        """How many rows wait."""
        ...


class SendQueue:
    """Which row goes next: pure.

    A row waits until it is taken; a newer one of the same topic takes its place. What was taken
    comes back by :meth:`acknowledged` or :meth:`failed`.
    """

    def __init__(self) -> None:
        self._rows: dict[str, OutboxRow] = {}
        self._order: deque[str] = deque()
        self._taken: dict[str, int] = {}
        self.cursor = 0
        self.acknowledged_rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that were read; the cursor moves past them."""
        for row in rows:
            self.cursor = max(self.cursor, row.id)
            waiting = self._rows.get(row.topic)
            if waiting is None:
                self._order.append(row.topic)
            if waiting is None or waiting.id < row.id:
                self._rows[row.topic] = row

    def take(self) -> OutboxRow | None:
        """The row that has waited longest."""
        while self._order:
            row = self._rows.pop(self._order.popleft(), None)
            if row is not None:
                self._taken[row.topic] = row.id
                return row
        return None

    def acknowledged(self, row: OutboxRow) -> None:
        """The broker has it, and with it everything older of its topic."""
        self.acknowledged_rows[row.topic] = max(self.acknowledged_rows.get(row.topic, 0), row.id)

    def failed(self, row: OutboxRow) -> None:
        """It was not delivered: first in line again, unless a newer one waits or is under way."""
        if row.topic not in self._rows and row.id == self._taken.get(row.topic):
            self._rows[row.topic] = row
            self._order.appendleft(row.topic)

    def deletable(self) -> list[tuple[str, int]]:
        """What may be deleted, once."""
        found = list(self.acknowledged_rows.items())
        self.acknowledged_rows = {}
        return found

    def restore(self, pairs: Iterable[tuple[str, int]]) -> None:
        """A deletion failed: try again later."""
        for topic, row_id in pairs:
            self.acknowledged_rows[topic] = max(self.acknowledged_rows.get(topic, 0), row_id)


class Publisher:
    """Sends what the outbox holds while it may.

    Attributes:
        refused: why the broker refused the last message, or None.
        waiting: rows that are not yet with the broker, as of the last look.
    """

    def __init__(
        self,
        bus: Bus,
        outbox: Outbox,
        clock: Clock,
        *,
        may_send: Callable[[], bool],
        sent: Callable[[str, bytes], None] = lambda _topic, _payload: None,
        kid: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Make it.

        Args:
            bus: where to.
            outbox: where from.
            clock: for waits.
            may_send: whether this process may publish configuration now.
            sent: told of each message right before it goes out.
            kid: the unsigned hint that goes along.
        """
        self.refused: PublishRefusedError | None = None
        self.waiting = 0
        self._bus = bus
        self._outbox = outbox
        self._clock = clock
        self._may_send = may_send
        self._sent = sent
        self._kid = kid
        self._queue = SendQueue()
        self._wake = asyncio.Event()
        self._resting = asyncio.Event()
        self._busy_since: float | None = None
        self._log = structlog.get_logger("parlour.publisher")

    def wake(self) -> None:
        """Rows were committed, or sending is possible again."""
        self._resting.clear()
        self._wake.set()

    async def rest(self) -> None:
        """Return when everything was sent, nothing can be sent now, or a second has gone by."""
        try:
            async with asyncio.timeout(REST_S):
                await self._resting.wait()
        except TimeoutError:
            pass

    def reset(self) -> None:
        """Another database took the place of the one that was read: its rows count from one."""
        self._queue = SendQueue()
        self.wake()

    @property
    def stuck(self) -> bool:
        """Whether rows have waited for a minute although there is a connection."""
        since = self._busy_since
        return since is not None and self._clock.monotonic() - since >= STUCK_AFTER_S

    async def run(self) -> None:
        """Send for ever."""
        forgetting = asyncio.get_running_loop().create_task(self._forget_for_ever())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._drain()
                except StoreError as error:
                    self._log.warning("the outbox cannot be read", code=error.code)
                if not self.waiting:
                    self._busy_since = None
                if not self._wake.is_set():
                    self._resting.set()
                try:
                    async with asyncio.timeout(RETRY_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)

    async def _drain(self) -> None:
        """Send until nothing is left or the connection is gone."""
        while self._may_send() and self._bus.connected:
            rows = await self._outbox.newest(self._queue.cursor, BATCH)
            self._queue.add(rows)
            self.waiting = len(self._queue)
            if not self.waiting:
                return
            if self._busy_since is None:
                self._busy_since = self._clock.monotonic()
            if not await self._send_waiting():
                return

    async def _send_waiting(self) -> bool:
        """Send what waits, some at a time; False when it makes no sense to go on now."""
        workers = min(OUTSTANDING, len(self._queue))
        results = await asyncio.gather(*(self._work() for _ in range(workers)))
        return all(results)

    async def _work(self) -> bool:
        queue = self._queue
        while self._may_send() and (row := queue.take()) is not None:
            kid = self._kid()
            self._sent(row.topic, row.payload)
            try:
                await self._bus.publish(
                    row.topic,
                    row.payload,
                    qos=1,
                    retain=row.retain,
                    properties={"kid": kid} if kid else None,
                    expiry_s=row.expiry_s,
                )
            except PublishRefusedError as error:
                self.refused = error
                queue.failed(row)
                self._log.error("the broker refused configuration", topic=row.topic,
                                reason=error.reason)  # fmt: skip
                return False
            except (NotConnectedError, BusError):
                queue.failed(row)
                return False
            self.refused = None
            self.waiting = len(queue)
            queue.acknowledged(row)
        return True

    async def _forget_for_ever(self) -> None:
        while True:
            await self._clock.sleep(FORGET_AFTER_S)
            await self.forget()

    async def forget(self) -> None:
        """Delete what the broker has."""
        queue = self._queue
        pairs = queue.deletable()
        if not pairs:
            return
        try:
            await self._outbox.done(pairs)
        except StoreError as error:
            queue.restore(pairs)
            self._log.debug("sent messages were not deleted", code=error.code)
