"""Gives a Piper voice the output that tells how long each phoneme sounds.

Run as ``python -m tts_worker.engines.patch_alignment SOURCE TARGET`` in a process of its own,
so that the ``onnx`` library and its copy of the model leave memory with it. Exit status 3: the
model has no such tensor, or gives it already; it is to be used as it is.
"""

from __future__ import annotations

import sys

import onnx
from piper.patch_voice_with_alignment import add_alignment_output

NOT_PATCHED = 3


def main(source: str, target: str) -> int:
    """Write the patched copy; returns the exit status."""
    model = onnx.load(source)
    try:
        add_alignment_output(model)
    except ValueError:
        return NOT_PATCHED
    onnx.save(model, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
