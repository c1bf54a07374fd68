"""Which fleet runs on a data directory: a lock that dies with its process, and a record."""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from parlour_kit.mqtt_link import MqttOptions
from pydantic import BaseModel, ConfigDict, ValidationError

from parlour_cli.broker.errors import AlreadyRunningError, NotRunningError
from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.users import ADMIN, read_password

BROKER_VARIABLE = "PARLOUR_BROKER_URL"
REST_VARIABLE = "PARLOUR_REST_URL"
"""Where a fleet is that something else runs, such as containers; both or neither."""

LOCK_PATIENCE_S = 0.5
"""Somebody who only asks whether a fleet runs holds the lock for a moment."""


class RunRecord(BaseModel):
    """What the other commands need to know of a running fleet; holds no secret.

    ``user``: the one user of all on a foreign broker; None where each has its own.
    ``rest_url``: config-manager's REST interface. ``probe_ports``: instance → the port of
    127.0.0.1 on which it answers how it is.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    pid: int
    port: int
    url: str
    broker: str
    started_at: str
    user: str | None = None
    rest_url: str | None = None
    probe_ports: dict[str, int] = {}


class Access(BaseModel):
    """How to reach the running fleet's broker as a user."""

    model_config = ConfigDict(frozen=True)

    url: str
    user: str
    password: str | None


def _run_dir(data_dir: Path) -> Path:
    return data_dir / "run"


@contextmanager
def holding(data_dir: Path) -> Iterator[None]:
    """Be the one fleet of a data directory; the kernel lets go when the process ends.

    Raises:
        AlreadyRunningError: another process is.
    """
    make_private_dir(_run_dir(data_dir))
    lock = os.open(_run_dir(data_dir) / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(lock):
            record = _read(data_dir)
            who = f" (process {record.pid}, {record.url})" if record else ""
            raise AlreadyRunningError(
                f"a fleet already runs on {data_dir}{who}",
                hint="use that one, stop it with Ctrl-C, or give --data another directory",
            )
        _record(data_dir).unlink(missing_ok=True)  # left by a process that was killed
        yield
    finally:
        os.close(lock)


def publish_record(data_dir: Path, record: RunRecord) -> None:
    """Tell the other commands where the fleet is."""
    write_private(_record(data_dir), record.model_dump_json(indent=2) + "\n")


def withdraw_record(data_dir: Path) -> None:
    """The fleet is no more."""
    _record(data_dir).unlink(missing_ok=True)


def running(data_dir: Path) -> RunRecord:
    """The fleet that the environment names, else the one that runs on a data directory.

    Raises:
        NotRunningError: none does.
    """
    record = elsewhere() or (_read(data_dir) if _is_held(data_dir) else None)
    if record is None:
        raise NotRunningError(
            f"no fleet runs on {data_dir}",
            hint=f"start it with: parlour up --data {shlex.quote(str(data_dir))}",
        )
    return record


def access(data_dir: Path, user: str = ADMIN) -> Access:
    """How to reach the running fleet's broker as a user.

    Raises:
        NotRunningError: no fleet runs.
        UnknownUserError: there is no such user.
    """
    record = running(data_dir)
    if record.user is not None:
        # On a foreign broker everybody is the one user that it was reached with.
        password = foreign_password_file(data_dir).read_text(encoding="utf-8").strip()
        return Access(url=record.url, user=record.user, password=password)
    return Access(url=record.url, user=user, password=read_password(data_dir, user))


def mqtt_options(data_dir: Path, user: str = ADMIN) -> MqttOptions:
    """:func:`access` in the form that a :class:`~parlour_kit.mqtt_bus.MqttBus` takes."""
    return options_of(access(data_dir, user))


def options_of(found: Access) -> MqttOptions:
    """An access in the form that a :class:`~parlour_kit.mqtt_bus.MqttBus` takes."""
    parts = urlsplit(found.url)
    tls = parts.scheme == "mqtts"
    return MqttOptions(
        host=parts.hostname or "",
        port=parts.port or (8883 if tls else 1883),
        user=found.user,
        password=found.password,
        tls=tls,
        ca_file=os.environ.get("MQTT_CA_FILE") if tls else None,
    )


def foreign_password_file(data_dir: Path) -> Path:
    """Where the password of a foreign broker's user is kept for the processes."""
    return data_dir / "secrets" / "foreign-broker.password"


def _record(data_dir: Path) -> Path:
    return _run_dir(data_dir) / "up.json"


def elsewhere() -> RunRecord | None:
    """The fleet that the environment names; whether it runs shows when it is spoken to."""
    broker, rest = os.environ.get(BROKER_VARIABLE), os.environ.get(REST_VARIABLE)
    if not broker or not rest:
        return None
    return RunRecord(
        pid=0,
        port=urlsplit(broker).port or 1883,
        url=broker,
        broker="named by the environment",
        started_at="",
        rest_url=rest,
    )


def _read(data_dir: Path) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(_record(data_dir).read_bytes())
    except (OSError, ValidationError):
        return None


def _is_held(data_dir: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        lock = os.open(_run_dir(data_dir) / "up.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _take(lock: int) -> bool:
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True
