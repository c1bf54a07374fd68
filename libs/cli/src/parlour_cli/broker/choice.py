"""Which broker a fleet uses, ready to be started."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from parlour_contracts.acl import SATELLITE, render_acl

from parlour_cli.broker.address import LOOPBACK, check_port, free_port
from parlour_cli.broker.discovery import discovery_prefix
from parlour_cli.broker.embedded import prepare_embedded
from parlour_cli.broker.errors import BrokerError
from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.mosquitto import find_mosquitto, prepare_mosquitto
from parlour_cli.broker.running import Access, foreign_password_file
from parlour_cli.broker.users import ADMIN, ensure_users, known_rooms, secret_file

Kind = Literal["mosquitto", "embedded", "foreign"]


@dataclass(frozen=True)
class Broker:
    """A broker that is configured.

    Attributes:
        kind: what it is.
        url: where it is, without user and password.
        command: what runs it in the foreground; None for a foreign one.
        death_signal: what it gets when the fleet's process dies.
        admin: how the fleet's own process reaches it.
        password_files: instance → file that holds its password.
        shared_user: the one user of all, on a foreign broker that was given with a user.
    """

    kind: Kind
    url: str
    command: tuple[str, ...] | None
    death_signal: signal.Signals
    admin: Access
    password_files: Mapping[str, Path]
    shared_user: str | None = None

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or (8883 if parts.scheme == "mqtts" else 1883)

    @property
    def tells_users_apart(self) -> bool:
        """Whether the access list that Parlour renders is enforced, each process under its name.

        A foreign broker with a user of its own for each may do so: config-manager finds out.
        """
        return self.kind != "embedded" and self.shared_user is None

    def environment(self, instance: str) -> dict[str, str]:
        """The variables that tell an instance how to reach it; never a password itself."""
        variables = {"MQTT_URL": self.url}
        variables["MQTT_USER"] = self.shared_user or instance
        if instance in self.password_files:
            variables["MQTT_PASSWORD_FILE"] = str(self.password_files[instance])
        return variables


def choose_broker(
    wanted: str,
    port: int,
    data_dir: Path,
    instances: Mapping[str, str],
    people: Iterable[str] = (),
) -> Broker:
    """Configure the broker that was asked for.

    Args:
        wanted: ``auto``, ``mosquitto``, ``embedded`` or the URL of a foreign broker.
        port: a port of 127.0.0.1, or 0 for a free one.
        data_dir: the data directory; the broker's files go into its ``broker``.
        instances: instance → service.
        people: names of those who have an account besides the admin.

    Raises:
        BrokerError: it is not there, or the port is taken.
        DataDirError: the data directory cannot be used.
    """
    persons = list(dict.fromkeys((ADMIN, *people)))
    if wanted not in ("auto", "mosquitto", "embedded"):
        return _foreign(wanted, data_dir, instances, persons)
    binary = find_mosquitto() if wanted != "embedded" else None
    if wanted == "mosquitto" and binary is None:
        raise BrokerError(
            "mosquitto is not installed",
            hint="apt install mosquitto, or use --broker embedded",
        )
    if binary is None and importlib.util.find_spec("iotcore") is None:
        raise BrokerError(
            "there is neither mosquitto nor the embedded broker (iotcore) on this machine",
            hint="apt install mosquitto, or pip install iotcore",
        )
    if port:
        check_port(port)
    else:
        port = free_port()
    rooms = known_rooms(data_dir)
    passwords = ensure_users(data_dir, (*instances, *persons, *rooms))
    folder = data_dir / "broker"
    if binary is not None:
        everybody = {**instances, **dict.fromkeys(rooms, SATELLITE)}
        acl = render_acl(everybody, persons, discovery_prefix())
        command = prepare_mosquitto(binary, folder, port, passwords, acl)
    else:
        command = prepare_embedded(folder, port, passwords)
    url = f"mqtt://{LOOPBACK}:{port}"
    return Broker(
        kind="mosquitto" if binary is not None else "embedded",
        url=url,
        command=tuple(command),
        # Mosquitto saves its retained messages on SIGTERM; the embedded broker has nothing.
        death_signal=signal.SIGTERM if binary is not None else signal.SIGKILL,
        admin=Access(url=url, user=ADMIN, password=passwords[ADMIN]),
        password_files={name: secret_file(data_dir, name) for name in instances},
    )


def _foreign(
    wanted: str, data_dir: Path, instances: Mapping[str, str], persons: list[str]
) -> Broker:
    """A broker that somebody else runs.

    With a user, in its URL or in MQTT_USER, all processes are that user. Without one each has
    its own, as on a broker of ours: what has the same users (``mosquitto/README.md``) or asks
    nobody who he is lets them in.
    """
    parts = urlsplit(wanted)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == -1:
        # What was given is not repeated: it may hold a password.
        raise BrokerError(
            "this is not a broker",
            hint="--broker auto, mosquitto, embedded, or a URL such as mqtt://host:1883",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    user = unquote(parts.username) if parts.username else os.environ.get("MQTT_USER")
    password = unquote(parts.password) if parts.password else os.environ.get("MQTT_PASSWORD")
    given_file = os.environ.get("MQTT_PASSWORD_FILE")
    if password is None and given_file:
        try:
            password = Path(given_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BrokerError(f"MQTT_PASSWORD_FILE cannot be read: {error.strerror}") from error
    if user is None:
        passwords = ensure_users(data_dir, (*instances, *persons))
        return Broker(
            kind="foreign",
            url=url,
            command=None,
            death_signal=signal.SIGKILL,
            admin=Access(url=url, user=ADMIN, password=passwords[ADMIN]),
            password_files={name: secret_file(data_dir, name) for name in instances},
        )
    path = foreign_password_file(data_dir)
    make_private_dir(path.parent)
    write_private(path, (password or "") + "\n")
    return Broker(
        kind="foreign",
        url=url,
        command=None,
        death_signal=signal.SIGKILL,
        admin=Access(url=url, user=user, password=password),
        password_files=dict.fromkeys(instances, path),
        shared_user=user,
    )
