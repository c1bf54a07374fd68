"""The files of the broker's TLS listener: authority, certificate, and the lines that open it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from parlour_cli.broker.errors import DataDirError
from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.prepare.accounts import broker_dir
from parlour_cli.prepare.certificates import DAYS, Pair, issue, make_authority, names_of

PORT = 8883
_PUBLIC = 0o644


def authority_dir(data_dir: Path) -> Path:
    """Where the authority's private key is; the broker does not see this folder."""
    return data_dir / "ca"


def ca_file(data_dir: Path) -> Path:
    """What clients are given."""
    return broker_dir(data_dir) / "tls" / "ca.crt"


def open_listener(data_dir: Path, names: Sequence[str], now: datetime, days: int = DAYS) -> Pair:
    """Make a certificate, with an authority if there is none yet, and the listener's lines.

    Args:
        data_dir: ``ca/`` and ``broker/`` lie below it.
        names: what clients connect to; without any, those of the certificate that is there.
        now: with a time zone.
        days: how long the certificate counts.

    Returns:
        The broker's certificate and key.

    Raises:
        CertificateError: see :func:`~parlour_cli.prepare.certificates.issue`.
        DataDirError: something cannot be read or written.
    """
    make_private_dir(authority_dir(data_dir))
    authority = _read(authority_dir(data_dir), "ca")
    tls = broker_dir(data_dir) / "tls"
    before = _read(tls, "server")
    wanted = list(dict.fromkeys(names)) or (names_of(before.certificate) if before else [])
    new = authority or make_authority(now)
    pair = issue(new, wanted, now, days)
    if authority is None:
        _write(authority_dir(data_dir), "ca", new)
    make_private_dir(tls)
    _write(tls, "server", pair)
    write_private(ca_file(data_dir), new.certificate.decode(), mode=_PUBLIC)
    make_private_dir(broker_dir(data_dir) / "conf.d")
    write_private(broker_dir(data_dir) / "conf.d" / "tls.conf", render_listener(tls))
    return pair


def render_listener(tls: Path) -> str:
    """The lines of mosquitto.conf; comments stand on lines of their own."""
    return (
        "# Written by parlour certs. TLS 1.2 and 1.3; users and access list are the same as on\n"
        "# the other listener.\n"
        f"listener {PORT}\n"
        f"certfile {tls / 'server.crt'}\n"
        f"keyfile {tls / 'server.key'}\n"
    )


def _read(folder: Path, name: str) -> Pair | None:
    try:
        return Pair((folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirError(f"{folder} cannot be read: {error.strerror}") from error


def _write(folder: Path, name: str, pair: Pair) -> None:
    """The key first: a certificate is never without its key."""
    write_private(folder / f"{name}.key", pair.key.decode())
    write_private(folder / f"{name}.crt", pair.certificate.decode(), mode=_PUBLIC)
