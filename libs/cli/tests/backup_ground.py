"""Databases as config-manager makes them, as far as the commands for copies look, and replicas."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from parlour_cli.backup.contents import APPLICATION_ID
from parlour_cli.backup.litestream import find_litestream
from parlour_cli.backup.places import Places
from parlour_config.audit_chain import CHANGE, START, next_head

TABLES = """
CREATE TABLE service_configs (service TEXT PRIMARY KEY, config_json TEXT, version INTEGER,
    config_epoch TEXT);
CREATE TABLE service_config_snapshots (service TEXT, version INTEGER, config_epoch TEXT,
    config_json TEXT, checksum TEXT, PRIMARY KEY (service, version));
CREATE TABLE epochs (config_epoch TEXT, active INTEGER);
CREATE TABLE config_history (id INTEGER PRIMARY KEY, service TEXT, key TEXT, old_value_json TEXT,
    new_value_json TEXT, changed_at TEXT, changed_by TEXT, change_reason TEXT);
CREATE TABLE access_log (id INTEGER PRIMARY KEY, user_id TEXT, action TEXT, service TEXT, key TEXT,
    success INTEGER, reason TEXT, timestamp TEXT);
CREATE TABLE audit_chain (seq INTEGER PRIMARY KEY, source TEXT, row_id INTEGER, row_json TEXT,
    head TEXT);
INSERT INTO epochs VALUES ('e1', 1);
"""


def made(path: Path, versions: int = 3, story: str = "a") -> Path:
    """A database whose router has so many versions; another story has other settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.executescript(TABLES)
        db.commit()
    grow(path, 1, versions, story)
    return path


def grow(path: Path, first: int, last: int, story: str = "a", epoch: str = "e1") -> None:
    """More versions of the router's settings, each with its row of history and of the chain."""
    with closing(sqlite3.connect(path)) as db:
        for version in range(first, last + 1):
            text = json.dumps({"name": f"{story}{version}"})
            row = ("router", "name", None, text, "2026-11-24T11:00:00Z", "ada", None)
            done = db.execute(
                f"INSERT INTO config_history ({', '.join(CHANGE)}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            seq, head = db.execute(
                "SELECT coalesce(max(seq), 0) + 1, coalesce(max(head) FILTER (WHERE seq = "
                "(SELECT max(seq) FROM audit_chain)), ?) FROM audit_chain", (START,)
            ).fetchone()  # fmt: skip
            head = next_head(
                head, "config_history", done.lastrowid or 0, dict(zip(CHANGE, row, strict=True))
            )
            db.execute(
                "INSERT INTO audit_chain VALUES (?, 'config_history', ?, NULL, ?)",
                (seq, done.lastrowid, head),
            )
            db.execute(
                "INSERT INTO service_config_snapshots VALUES ('router', ?, ?, ?, ?)",
                (version, epoch, text, hashlib.sha256(text.encode()).hexdigest()),
            )
            db.execute(
                "INSERT OR REPLACE INTO service_configs VALUES ('router', ?, ?, ?)",
                (text, version, epoch),
            )
        db.commit()


def replicate(places: Places, folder: Path) -> Path:
    """One run of the real program; the replica's folder."""
    replica = folder / "home" / "e1"
    kept = {"path": str(places.database), "replica": {"type": "file", "path": str(replica)}}
    config = places.folder / "litestream.json"
    config.write_text(json.dumps({"dbs": [kept]}))
    subprocess.run(
        [find_litestream(), "replicate", "-once", "-config", config],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return replica
