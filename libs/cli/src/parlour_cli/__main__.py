"""``python -m parlour_cli``, and the script ``parlour``."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

from parlour_cli.app import app
from parlour_cli.models.output import FAILED, INTERRUPTED, complain

TRACE = "PARLOUR_TRACE"
"""Set this variable to see where an unexpected error came from."""


def main() -> NoReturn:
    """Run the command line; the exit code is the subcommand's."""
    try:
        code = app(result_action="return_value")
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does; nothing may be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except Exception as error:  # noqa: BLE001  # people get words; the trace is a variable away
        if os.environ.get(TRACE):
            traceback.print_exc()
        complain(
            f"unexpected {type(error).__name__}: {error}",
            f"this is a defect of parlour; {TRACE}=1 shows where it is",
        )
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
