"""A process as it would be without its metrics: ``python -m bench.without_metrics router``.

Whatever would be noted is not; nobody else is changed. For comparison alone.
"""

from __future__ import annotations

import runpy
import sys

from parlour_kit.metrics import process
from prometheus_client import Counter, Gauge, Histogram


def _nothing(*_values: object, **_more: object) -> None:
    return


for kind, names in ((Counter, ("inc",)), (Gauge, ("inc", "dec", "set")), (Histogram, ("observe",))):
    for name in names:
        setattr(kind, name, _nothing)
process.tick = _nothing

if __name__ == "__main__":
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
