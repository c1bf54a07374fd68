"""``parlour prepare`` and ``parlour certs``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from parlour_cli.broker.users import secrets_dir
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.prepare import listener
from parlour_cli.prepare.accounts import broker_dir
from parlour_cli.prepare.accounts import prepare as prepare_files
from parlour_cli.prepare.certificates import DAYS, ends


@in_words
def prepare(
    *rooms: Annotated[str, Parameter(help="Further satellites, each named as its room.")],
    person: Annotated[
        list[str] | None,
        Parameter(name="--person", negative="", help="A person who gets a broker account."),
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Make the broker's accounts and access list for a fleet in containers or under systemd."""
    data_dir = resolve_data_dir(data)
    made = prepare_files(data_dir, rooms, person or ())
    if as_json:
        print_json({"made": made, "broker": str(broker_dir(data_dir))})
        return 0
    print(f"made accounts: {', '.join(made)}" if made else "every account is there")
    print(f"the broker's files: {broker_dir(data_dir)}")
    print(f"passwords of people and rooms: {secrets_dir(data_dir)}")
    if made:
        print("a broker that runs already takes new accounts when it starts again")
    return 0


@in_words
def certs(
    *names: Annotated[str, Parameter(help="Host names and addresses that clients connect to.")],
    days: Annotated[int, Parameter(help="How long the certificate counts.")] = DAYS,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Make the certificate of the broker's TLS listener; without names, renew it."""
    data_dir = resolve_data_dir(data)
    pair = listener.open_listener(data_dir, names, datetime.now(UTC), days)
    until, given = ends(pair.certificate), listener.ca_file(data_dir)
    if as_json:
        print_json({"ca": str(given), "port": listener.PORT, "until": f"{until:%Y-%m-%d}"})
        return 0
    print(f"the certificate counts until {until:%Y-%m-%d}")
    print(f"clients need {given} (MQTT_CA_FILE, --cafile) and mqtts://…:{listener.PORT}")
    print("a broker that runs already takes it when it starts again")
    return 0
