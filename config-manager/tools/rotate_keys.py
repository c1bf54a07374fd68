"""Rotates keys again and again, under load, killing the manager on the way; prints what came of it.

``python config-manager/tools/rotate_keys.py --count 100 --seed 1``; ends with 1 when a service
refused anything that it should have taken.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rotation_house import SECRET, random_life  # from the folder of tests


def main() -> int:
    """Run as many as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        house, killed = asyncio.run(random_life(Path(folder), asked.seed, asked.count))
    applied = sum(service.applied for service in house.services.values())
    readable = house.services["llm-worker"].running["api_key"] == SECRET
    print(  # noqa: T201  # the tool's answer
        f"{asked.count} rotations, {killed} kills, {applied} configurations taken, "
        f"{len(house.refused)} refused, secret readable: {readable}"
    )
    return 1 if house.refused or not readable else 0


if __name__ == "__main__":
    sys.exit(main())
