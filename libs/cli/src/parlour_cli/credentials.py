"""``parlour credentials``: how a client reaches the broker of the running fleet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from parlour_kit.mqtt_link import MqttOptions

from parlour_cli.broker.running import Access, access, options_of
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json


def load(data_dir: Path, user: str) -> Access:
    """How to reach the running fleet's broker as a user.

    Raises:
        NotRunningError: no fleet runs on this data directory.
        UnknownUserError: its broker has no such user.
    """
    return access(data_dir, user)


def client_options(broker: MqttOptions) -> str:
    """The options that bring Mosquitto's own clients to the broker.

    They speak MQTT 5: on 3.1.1 a message that the access list refuses looks delivered.
    """
    words = ["-V", "mqttv5", "-h", broker.host, "-p", str(broker.port)]
    if broker.user is not None:
        words += ["-u", broker.user, "-P", broker.password or ""]
    if broker.tls:
        words += ["--cafile", broker.ca_file] if broker.ca_file else ["--tls-use-os-certs"]
    return shlex.join(words)


@in_words
def credentials(
    *,
    user: Annotated[str, Parameter(help="A broker user, such as admin.")],
    as_json: Json = False,
    options: Annotated[
        bool,
        Parameter(negative="", help="Print options for mosquitto_pub and its like."),
    ] = False,
    data: Data = None,
) -> int:
    """Show where the running fleet's broker is, and a user's password."""
    found = load(resolve_data_dir(data), user)
    if options:
        print(client_options(options_of(found)))
        return 0
    shown = {"url": found.url, "user": found.user, "password": found.password}
    if as_json:
        print_json(shown)
        return 0
    for name, value in shown.items():
        print(f"{name + ':':10}{value or '(none)'}")
    return 0
