"""Whether all parts of a copy tell one story; pages that are whole may still be of two databases.

A replica can be put together of commits that never were in one database (ADR 0019). Every row of
the history is bound by the audit chain, every version of settings by its checksum, and what counts
now must be the newest version: where all of that agrees, the copy is a state that was.
"""

from __future__ import annotations

import hashlib

from parlour_config.audit_chain import Readable, verify

from parlour_cli.backup.errors import ContradictionError


def require_one_story(db: Readable) -> None:
    """Read all rows that can be checked against others.

    Args:
        db: a copy whose pages are whole; nothing is written.

    Raises:
        ContradictionError: something does not fit the rest.
        sqlite3.Error: it cannot be read.
    """
    _require_versions(db)
    _require_newest(db)
    try:
        report = verify(db)
    except (ValueError, TypeError, KeyError) as error:  # rows that are no rows of the chain
        raise ContradictionError("the copy's audit chain cannot be read") from error
    if not report.ok:
        raise ContradictionError(
            f"the copy's audit chain breaks at row {report.first_bad}: {report.problem}"
        )


def _require_versions(db: Readable) -> None:
    """Versions follow each other, only a new epoch lets them jump; each says what was accepted."""
    before: dict[str, tuple[int, str]] = {}
    for service, version, epoch, text, checksum in db.execute(
        "SELECT service, version, config_epoch, config_json, checksum "
        "FROM service_config_snapshots ORDER BY service, version"
    ):
        last = before.get(service)
        if last is not None and version != last[0] + 1 and epoch == last[1]:
            raise ContradictionError(f"the copy lacks versions of {service} before {version}")
        if _sha256(text) != checksum:
            raise ContradictionError(
                f"version {version} of {service} in the copy is not what was accepted"
            )
        before[service] = (version, epoch)


def _require_newest(db: Readable) -> None:
    """What counts now is the newest version of each service, word for word."""
    kept = {
        service: (version, checksum)
        for service, version, checksum in db.execute(
            "SELECT service, max(version), checksum FROM service_config_snapshots GROUP BY service"
        )
    }
    now = {
        service: (version, _sha256(text))
        for service, version, text in db.execute(
            "SELECT service, version, config_json FROM service_configs"
        )
    }
    if now != kept:
        raise ContradictionError("the copy's settings are not its newest versions")


def _sha256(text: object) -> str:
    return hashlib.sha256(str(text).encode(errors="replace")).hexdigest()
