"""Becomes another program that dies with the process that started it.

Run as ``python -I -S child.py PARENT SIGNAL COMMAND…``; it imports nothing of Parlour. The
kernel sends SIGNAL when the parent's thread ends, however that happens (PR_SET_PDEATHSIG,
which survives exec). A ``preexec_fn`` could do the same, but may deadlock where threads run.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127


def main() -> None:
    """Bind this process to its parent, then become the command."""
    parent, number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        sys.stderr.write(f"prctl: {os.strerror(ctypes.get_errno())}\n")
        sys.exit(CANNOT_RUN)
    # The parent may have died before the kernel knew what to do about it.
    if os.getppid() != parent:
        sys.exit(CANNOT_RUN)
    try:
        os.execvp(command[0], command)  # noqa: S606  # the command comes from parlour up alone
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main()
