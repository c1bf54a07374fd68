"""A fleet whose configuration is copied all the time, for drills of its restore."""  # noqa: INP001

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from checker import read_only
from parlour_cli.backup.errors import LitestreamError
from parlour_cli.backup.litestream import last_sync
from parlour_cli.backup.places import Places
from parlour_config.keyfiles import KeyFile
from parlour_config.keyfolder import manager_path
from parlour_config.signing import TrustedKey
from quiet_services import CLASSES, QuietWorker
from real_fleet import Keeper, Mosquitto, Worker
from traffic import until

SCRIPT = Path(__file__).parents[1] / "litestream.sh"
PATIENCE_S = 60.0
FRESH_S = 10.0


class House:
    """Broker, config-manager, a copier, and a process per service.

    Attributes:
        services: those that run, of all that have settings.
        litestream: whether Litestream copies the database.
        replicas: where to.
    """

    def __init__(self, folder: Path, people: Sequence[str], *, litestream: bool) -> None:
        self.services = ("router", *CLASSES)
        self.litestream = litestream
        self.replicas = folder / "the replicas"
        self.broker = Mosquitto(folder / "broker", ("admin", *people))
        self._folder = folder
        self._keys = folder / "keys"
        url = f"mqtt://127.0.0.1:{self.broker.port}"
        places = Places.of(folder / "manager")
        more = {"LITESTREAM_SOCKET": str(places.socket)} if litestream else {}
        self.keeper = Keeper(url, folder / "manager", self._keys, people=people, **more)
        self._places = places
        self._workers: list[Worker] = [
            Worker(url, folder / "router", self._keys, "router"),
            *(QuietWorker(url, folder / name, self._keys, name) for name in CLASSES),
        ]
        self._copier: subprocess.Popen[bytes] | None = None
        self._copying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Everything runs when this returns, except that services may still be starting."""
        self.broker.start()
        await self.start(replica_first=False)
        for worker in self._workers:
            worker.start()

    async def start(self, *, replica_first: bool) -> None:
        """config-manager, and whatever keeps Litestream running, in either order."""
        if replica_first:
            self._keep_copying()
            await asyncio.sleep(1)
        self.keeper.start()
        await until(self.keeper.database.exists, PATIENCE_S)
        await until(lambda: all((self._keys / name).exists() for name in self.services), PATIENCE_S)
        if not replica_first:
            self._keep_copying()

    def mend(self) -> None:
        """Start services again that ended by themselves, as systemd and Docker do."""
        for worker in self._workers:
            if worker.ended() is not None:
                worker.start()

    def kill_litestream(self) -> None:
        """Kill it, and let nothing start it again."""
        if self._copying is not None:
            self._copying.cancel()
            self._copying = None
        process, self._copier = self._copier, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)

    async def close(self) -> None:
        """Whatever still runs."""
        self.kill_litestream()
        for one in (*self._workers, self.keeper, self.broker):
            one.kill()

    def copy(self) -> Path:
        """A copy of the database as it is now, made by SQLite."""
        target = self._folder / f"copy-{datetime.now(UTC):%H%M%S.%f}.db"
        with closing(read_only(self.keeper.database)) as db:
            db.execute("VACUUM INTO ?", (str(target),))
        return target

    def replicates(self) -> bool:
        """Whether Litestream brought something to the path of the running epoch just now."""
        try:
            last = last_sync(self._places.socket, self.keeper.database)
        except LitestreamError:
            return False
        named = self._places.names().get("CONFIG_EPOCH")
        fresh = last is not None and (datetime.now(UTC) - last).total_seconds() < FRESH_S
        there = any(self.replicas.glob(f"*/{named}/ltx/*/*.ltx"))
        return fresh and there and named == self.epoch()

    def trusted(self) -> Sequence[TrustedKey]:
        """The keys that sign."""
        return KeyFile.of_manager(manager_path(self._keys)).current().trusted

    def epoch(self) -> str:
        """The active one."""
        return self.lineage()[0]

    def lineage(self) -> tuple[str, str, str]:
        """The active epoch, why it began, and the floor."""
        with closing(read_only(self.keeper.database)) as db:
            epoch, reason = db.execute(
                "SELECT config_epoch, reason FROM epochs WHERE active = 1"
            ).fetchone()
            floor = db.execute("SELECT floor FROM clock_floor").fetchone()[0]
        return str(epoch), str(reason), str(floor)

    def _keep_copying(self) -> None:
        if self.litestream:
            self._copying = asyncio.get_running_loop().create_task(self._copy_for_ever())

    async def _copy_for_ever(self) -> None:
        """Start Litestream again whenever it ends, as systemd and Docker do."""
        env = {
            **os.environ,
            "PARLOUR_DATA": str(self.keeper.folder),
            "PARLOUR_REPLICAS": str(self.replicas),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        while True:
            with (self._folder / "litestream.log").open("ab") as log:
                self._copier = subprocess.Popen(  # noqa: ASYNC220, S603  # our own script
                    ["/bin/sh", str(SCRIPT)],
                    env=env, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            while self._copier.poll() is None:  # noqa: ASYNC110  # the kernel announces nothing
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
