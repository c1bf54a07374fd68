"""Keeps the libraries that a process loads from calling home.

Some report their use over the network unless told otherwise: the published onnxruntime, for
one, gives the machine an id and sends events. They read the environment when they are loaded.
"""

from __future__ import annotations

import os

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def forbid_telemetry() -> None:
    """Switch reporting off for this process and its children; call it before any engine."""
    os.environ.update(SWITCHES)
