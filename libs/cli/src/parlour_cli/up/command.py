"""``parlour up``."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from parlour_config.keyfolder import ROOT_FILE
from parlour_config.provision import KeysUnwritableError
from parlour_config.users import UsersError
from parlour_kit import log
from parlour_kit.clock import utc_text
from parlour_kit.errors import ParlourError, StartupError

from parlour_cli.broker.address import LOOPBACK, server_ports
from parlour_cli.broker.choice import Broker, choose_broker
from parlour_cli.broker.errors import SettingsError
from parlour_cli.broker.files import make_private_dir
from parlour_cli.broker.running import RunRecord, holding, publish_record, withdraw_record
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.making import ROOT_KEY_ADVICE, ensure_keys, keys_to_keep, people_of
from parlour_cli.keys.places import keys_dir
from parlour_cli.models.output import complain, in_words
from parlour_cli.options import Data
from parlour_cli.seed import missing_kinds, write_seeds
from parlour_cli.up.console import Console
from parlour_cli.up.members import INSTANCES
from parlour_cli.up.policy import BAD_CONFIGURATION
from parlour_cli.up.supervisor import STARTER_HINT, Supervisor

_NAMES = {"mosquitto": "Mosquitto", "embedded": "the embedded broker", "foreign": "the broker"}


@in_words
def up(
    *,
    data: Data = None,
    broker: Annotated[
        str,
        Parameter(help="auto, mosquitto, embedded, or the URL of a broker that runs already."),
    ] = "auto",
    port: Annotated[
        int, Parameter(help="Port of 127.0.0.1 for the broker; 0 takes a free one.")
    ] = 0,
) -> int:
    """Run the whole fleet in the foreground, until Ctrl-C."""
    begin = time.monotonic()
    data_dir = resolve_data_dir(data)
    # Our own part speaks through the console; what its libraries log is noise there.
    log.configure("ERROR", "console", "up")
    make_private_dir(data_dir)
    with holding(data_dir):
        try:
            news = _prepared(data_dir)
            people = people_of(data_dir, INSTANCES)
        except (StartupError, UsersError, SettingsError) as error:
            return _refuse(error)
        chosen = choose_broker(broker, port, data_dir, INSTANCES, people)
        console = Console()
        try:
            _tell_start(console, chosen, data_dir, news)
            return asyncio.run(_run(chosen, data_dir, console, begin))
        finally:
            withdraw_record(data_dir)
            console.say("stopped")
            console.close()


async def _run(chosen: Broker, data_dir: Path, console: Console, begin: float) -> int:
    rest_port, *others = server_ports(1 + len(INSTANCES))
    probe_ports = dict(zip(INSTANCES, others, strict=True))
    record = _record(chosen, rest_port, probe_ports)
    supervisor = Supervisor(
        chosen,
        data_dir,
        console,
        lambda: publish_record(data_dir, record),
        begin,
        rest_port,
        probe_ports,
    )
    return await supervisor.run()


def _prepared(data_dir: Path) -> list[str]:
    """Make what a first start needs; what was made, for people."""
    news = []
    made = ensure_keys(data_dir)
    if made:
        news = [f"made {', '.join(made)} in {keys_dir(data_dir)}"]
        if ROOT_FILE in made:
            news.append(ROOT_KEY_ADVICE)
    return [*news, *write_seeds(data_dir)]


def _refuse(error: ParlourError) -> int:
    """Say why there is no fleet until somebody changes something."""
    complain(str(error), error.hint)
    if isinstance(error, KeysUnwritableError):
        print(f"\n{keys_to_keep(error)}", file=sys.stderr)
    return BAD_CONFIGURATION


def _tell_start(console: Console, chosen: Broker, data_dir: Path, news: list[str]) -> None:
    console.say(f"data directory {data_dir}")
    console.say(f"{_NAMES[chosen.kind]} at {chosen.url}")
    if chosen.kind == "embedded":
        console.say("this broker has passwords but no access list; Mosquitto has both", "warning")
    for text in news:
        console.say(text)
    missing = missing_kinds(data_dir)
    if missing:
        command = f"{STARTER_HINT} --data {shlex.quote(str(data_dir))}"
        console.say(f"no model is installed for: {', '.join(missing)}", "warning")
        console.say(f"  hint: {command}, then start parlour up again", "warning")


def _record(chosen: Broker, rest_port: int, probe_ports: dict[str, int]) -> RunRecord:
    return RunRecord(
        pid=os.getpid(),
        port=chosen.port,
        url=chosen.url,
        broker=chosen.kind,
        started_at=utc_text(datetime.now(UTC)),
        user=chosen.shared_user,
        rest_url=f"http://{LOOPBACK}:{rest_port}",
        probe_ports=probe_ports,
    )
