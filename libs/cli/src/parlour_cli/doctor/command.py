"""``parlour doctor``."""

from __future__ import annotations

from dataclasses import asdict

from parlour_kit.errors import ParlourError
from rich.console import Console
from rich.table import Table

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.doctor import probes
from parlour_cli.doctor.findings import Finding
from parlour_cli.models.output import FAILED, in_words, print_json
from parlour_cli.options import Data, Json

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


@in_words
def doctor(
    *,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Check this machine and say what to do about each finding; ends with 1 on any ✗."""
    data_dir = resolve_data_dir(data)
    found = [*probes.machine(data_dir), *probes.software(), probes.data(data_dir)]
    for name, probe in (("models", probes.models), ("fleet", probes.fleet)):
        try:
            found += probe(data_dir)
        except ParlourError as error:
            found.append(Finding(name, "error", str(error), error.hint))
    found.append(probes.sound())
    bad = any(finding.level == "error" for finding in found)
    if as_json:
        print_json({"ok": not bad, "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
    return FAILED if bad else 0


def _print(found: list[Finding]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in found:
        text = finding.text + (f"\n→ {finding.hint}" if finding.hint else "")
        # What was found is text, never markup.
        table.add_row(MARKS[finding.level], _plain(finding.name), _plain(text))
    Console(highlight=False).print(table)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
