"""Arguments and options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Service = Annotated[str, Parameter(help="A service, such as tts-worker.")]
Data = Annotated[
    Path | None,
    Parameter(name="--data", help="Data directory (default: PARLOUR_DATA, else the user's)."),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]
Reason = Annotated[str | None, Parameter(name="--reason", help="Why; it stands in the history.")]
Why = Annotated[str, Parameter(name="--reason", help="Why; it stands in the audit log.")]
IfVersion = Annotated[
    int | None,
    Parameter(name="--if-version", help="Only if this is still the version (see get)."),
]
DryRun = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Check only; change nothing.")
]
Yes = Annotated[bool, Parameter(name="--yes", negative="", help="Do not ask.")]
