"""The program Litestream: where it is, what it restores, what it says of a running copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from parlour_cli.backup.errors import LitestreamError

OLDEST = (0, 5, 17)
"""Earlier releases carry an SQLite that can damage a database when two programs checkpoint."""

RESTORE_S = 3600.0
LIST_S = 300.0
ASK_S = 3.0
MAX_ANSWER_BYTES = 65_536


def find_litestream() -> Path:
    """The binary: beside this Python, or where PATH looks.

    Raises:
        LitestreamError: there is none, or it is too old.
    """
    beside = Path(sys.executable).with_name("litestream")
    found = str(beside) if beside.is_file() else shutil.which("litestream")
    if found is None:
        raise LitestreamError(
            "the program litestream was not found",
            hint="install Litestream 0.5.17 or later (litestream.io/install), or restore the "
            "daily copy with --from",
        )
    shown = _run([found, "version"], 10.0).stdout
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", shown.strip())
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST:
        raise LitestreamError(
            f"Litestream {shown.strip()[:20] or 'of an unknown release'} is too old",
            hint="install 0.5.17 or later: earlier ones can damage a database",
        )
    return Path(found)


@dataclass(frozen=True)
class State:
    """A moment that a replica can go back to.

    Attributes:
        txid: Litestream's number of it; later ones are greater.
        at: when it was copied, in whole seconds; None where Litestream does not say.
    """

    txid: int
    at: datetime | None


def list_states(binary: Path, replica: Path | str) -> list[State]:
    """What a replica can go back to, newest first.

    Args:
        binary: of Litestream.
        replica: its folder, or its URL.

    Raises:
        LitestreamError: it cannot be listed.
    """
    with _named(replica, Path("config.db")) as (options, name):
        done = _run([str(binary), "ltx", "-level", "all", "-json", *options, name], LIST_S)
    if done.returncode:
        raise LitestreamError(f"Litestream could not list the replica: {_said(done)}")
    return read_states(done.stdout)


def read_states(listed: str) -> list[State]:
    """The states in a list of files as JSON, newest first; raises LitestreamError.

    Several files can end with the same state: each level of Litestream's has files of its own. The
    first to be written, at the lowest level, has the moment of the change itself.
    """
    found: dict[int, State] = {}
    try:
        files = json.loads(listed or "[]") or []
        for file in sorted(files, key=lambda one: int(one["level"])):
            txid = int(file["max_txid"], 16)
            at = datetime.fromisoformat(file["timestamp"]) if file.get("timestamp") else None
            found.setdefault(txid, State(txid, at if at and at.tzinfo else None))
    except (ValueError, KeyError, TypeError) as error:
        raise LitestreamError("Litestream's list of files cannot be read") from error
    return sorted(found.values(), key=lambda state: state.txid, reverse=True)


def restore(
    binary: Path,
    replica: Path | str,
    target: Path,
    until: datetime | None = None,
    txid: int | None = None,
) -> None:
    """Write the newest state of a replica, or an earlier one, checked page by page.

    Args:
        binary: of Litestream.
        replica: its folder, or its URL.
        target: the file to write; it must not exist.
        until: take nothing that is later; its time zone is known.
        txid: take this state and no other; ``until`` is of no use then.

    Raises:
        LitestreamError: it failed; what it said is in the text.
    """
    command = [str(binary), "restore", "-integrity-check", "full", "-o", str(target)]
    if txid is not None:
        command += ["-txid", f"{txid:016x}"]
    elif until is not None:
        command += ["-timestamp", until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")]
    with _named(replica, target) as (options, name):
        done = _run([*command, *options, name], RESTORE_S)
    if done.returncode or not target.exists():
        raise LitestreamError(
            f"Litestream could not restore: {_said(done)}",
            hint="an earlier state may be whole: --until a moment before, or --from the daily copy",
        )


def last_sync(socket: Path, database: Path) -> datetime | None:
    """When Litestream last brought something to the replica, also while nothing changes.

    That it did tells nothing of the database: where it cannot read that, it goes on bringing what
    it has. So it is told to copy now.

    Args:
        socket: its control socket.
        database: which of its databases, as Litestream names it.

    Raises:
        LitestreamError: it does not answer, does not know the database, or cannot copy it.
    """
    transport = httpx.HTTPTransport(uds=str(socket))
    try:
        with httpx.Client(transport=transport, timeout=ASK_S) as client:
            for entry in _listed(client):
                if Path(entry["path"]).name == database.name:
                    told = client.post("http://litestream/sync", json={"path": entry["path"]})
                    if told.is_error:
                        raise LitestreamError(
                            "Litestream runs, but cannot copy the database", hint="its log says why"
                        )
                    text = entry.get("last_sync_at")
                    return datetime.fromisoformat(text) if text else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LitestreamError(
            "Litestream does not answer on its control socket",
            hint="start it with the socket that config-manager/litestream.yml names",
        ) from error
    raise LitestreamError("Litestream runs, but copies another database")


def _listed(client: httpx.Client) -> list[dict[str, Any]]:
    with client.stream("GET", "http://litestream/list") as answer:
        answer.raise_for_status()
        raw = b""
        for chunk in answer.iter_bytes():
            raw += chunk
            if len(raw) > MAX_ANSWER_BYTES:
                raise LitestreamError("Litestream's answer is too long")
    found: list[dict[str, Any]] = json.loads(raw)["databases"]
    return found


@contextmanager
def _named(replica: Path | str, database: Path) -> Iterator[tuple[list[str], str]]:
    """How a command of Litestream's is told the replica: options, and the name at its end."""
    if not isinstance(replica, Path):
        yield [], replica
        return
    # A file's URL would do only for names without blanks, which Litestream takes as %20.
    kept = {"path": str(database), "replica": {"type": "file", "path": str(replica)}}
    with tempfile.TemporaryDirectory(prefix="parlour-") as scratch:
        config = Path(scratch) / "litestream.json"
        config.write_text(json.dumps({"dbs": [kept]}))
        yield ["-config", str(config), "-no-expand-env"], str(database)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that it said."""
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return said[-1][:300] if said else "?"


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # no shell; a program of the operator's
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LitestreamError(f"{Path(command[0]).name} cannot be run: {error}"[:300]) from error
