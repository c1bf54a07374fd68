"""``parlour health``."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit import log
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.health.rows import HEAD, Fleet, summary_line
from parlour_cli.models.output import FAILED, in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.talk.connect import connected

RETAINED_S = 0.7
"""What is retained has come by then."""

_STYLES = {"healthy": "green", "degraded": "yellow", "stale": "yellow", "stopped": "dim"}


@in_words
def health(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Go on, live.")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show how every process is; the exit code is 1 unless the whole fleet is healthy."""
    log.configure("CRITICAL", "console", "cli")
    data_dir = resolve_data_dir(data)

    async def run() -> bool:
        fleet = Fleet()
        async with connected(data_dir) as messenger:
            await messenger.on(HEALTH, lambda m, _: fleet.see(m, *_now()))
            await messenger.on(CONFIG_HEALTH, lambda m, _: fleet.see_keeper(m, *_now()))
            await asyncio.sleep(RETAINED_S)
            if as_json:
                print_json(fleet.document(*_now()))
            elif watch:
                with Live(_view(fleet), auto_refresh=False) as live:
                    while True:
                        live.update(_view(fleet), refresh=True)
                        await asyncio.sleep(1)
            else:
                Console().print(_view(fleet))
            return fleet.whole(*_now()).status == "healthy"

    try:
        return 0 if asyncio.run(run()) else FAILED
    except KeyboardInterrupt:
        return 0  # the way to end a watch


def _now() -> tuple[float, datetime]:
    return time.monotonic(), datetime.now(UTC)


def _view(fleet: Fleet) -> Group:
    now, wall = _now()
    table = Table(box=None, header_style="bold")
    for title in HEAD:
        table.add_column(title, no_wrap=title != "CONFIG")
    for name, status, *rest in fleet.rows(now):
        style = _STYLES.get(status, "red")
        table.add_row(name, f"[{style}]{status}[/]", *map(escape, rest))
    lines = []
    for name, problem, hint in fleet.problems():
        lines.append(Text(f"{name}: {problem}", style="yellow"))
        if hint:
            lines.append(Text(f"  hint: {hint}"))
    whole = fleet.whole(now, wall)
    lines.append(Text(summary_line(whole), style=_STYLES.get(whole.status, "red")))
    return Group(table, *lines)
