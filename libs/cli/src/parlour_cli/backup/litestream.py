"""The program Litestream: where it is, what it restores, what it says of a running copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx

from parlour_cli.backup.errors import LitestreamError

OLDEST = (0, 5, 17)
"""Earlier releases carry an SQLite that can damage a database when two programs checkpoint."""

RESTORE_S = 3600.0
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


def restore(binary: Path, replica: Path | str, target: Path, until: datetime | None) -> None:
    """Write the newest state of a replica, or an earlier one, checked page by page.

    Args:
        binary: of Litestream.
        replica: its folder, or its URL.
        target: the file to write; it must not exist.
        until: take nothing that is later; its time zone is known.

    Raises:
        LitestreamError: it failed; what it said is in the text.
    """
    command = [str(binary), "restore", "-integrity-check", "full", "-o", str(target)]
    if until is not None:
        command += ["-timestamp", until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")]
    with tempfile.TemporaryDirectory(prefix="parlour-") as scratch:
        if isinstance(replica, Path):
            # A file's URL would do only for names without blanks, which Litestream takes as %20.
            config = Path(scratch) / "litestream.json"
            kept = {"path": str(target), "replica": {"type": "file", "path": str(replica)}}
            config.write_text(json.dumps({"dbs": [kept]}))
            command += ["-config", str(config), "-no-expand-env", str(target)]
        else:
            command.append(replica)
        done = _run(command, RESTORE_S)
    if done.returncode or not target.exists():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LitestreamError(
            f"Litestream could not restore: {said[-1][:300] if said else '?'}",
            hint="an earlier state may be whole: --until a moment before, or --from the daily copy",
        )


def last_sync(socket: Path, database: Path) -> datetime | None:
    """When Litestream last brought something to the replica, also while nothing changes.

    Args:
        socket: its control socket.
        database: which of its databases, as Litestream names it.

    Raises:
        LitestreamError: it does not answer, or does not know the database.
    """
    try:
        with (
            httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=ASK_S) as client,
            client.stream("GET", "http://litestream/list") as answer,
        ):
            answer.raise_for_status()
            raw = b""
            for chunk in answer.iter_bytes():
                raw += chunk
                if len(raw) > MAX_ANSWER_BYTES:
                    raise LitestreamError("Litestream's answer is too long")
        listed = httpx.Response(200, content=raw).json()["databases"]
        for entry in listed:
            if Path(entry["path"]).name == database.name:
                text = entry.get("last_sync_at")
                return datetime.fromisoformat(text) if text else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LitestreamError(
            "Litestream does not answer on its control socket",
            hint="start it with the socket that config-manager/litestream.yml names",
        ) from error
    raise LitestreamError("Litestream runs, but copies another database")


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # no shell; a program of the operator's
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LitestreamError(f"{Path(command[0]).name} cannot be run: {error}"[:300]) from error
