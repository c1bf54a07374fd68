"""Parlour beside the chain a home uses today: from the end of speech to the first sound.

    .venv/bin/python bench/voice.py [--audio DIR] [--rounds N] [--json FILE]

The same recordings, streamed in real time, on the same models and machine, alternating in one
run. `bench/peers/setup.sh` (`make bench-peers`) brings the other side; bench/README.md says what
is measured and how it is kept fair.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# Run as a file, only this folder is on the path.
from parlour_contracts.config import LLMWorkerConfig, RouterConfig  # noqa: E402

from bench import clips, machine  # noqa: E402
from bench.measure import (  # noqa: E402
    TOTAL,
    Side,
    Turn,
    document,
    medians_of,
    summarise,
    table,
)
from bench.parlour_side import Fleet  # noqa: E402
from bench.peers.chain import Chain, Prompt  # noqa: E402
from bench.peers.servers import Models, Servers, free_port  # noqa: E402
from bench.scratch import data_of, scratch_data  # noqa: E402

PARLOUR_SETTINGS = {"llm-worker": {"temperature": 0.0}}
"""The one setting that is not Parlour's default: both sides always take the likeliest word."""

PAUSE_S = 1.0
"""Between turns, so that nothing of one is still running in the next."""


class Sides:
    """Both assistants; each question asked of either comes back as a `Turn`."""

    def __init__(self, fleet: Fleet | None, chain: Chain | None) -> None:
        self._fleet = fleet
        self._chain = chain

    @property
    def there(self) -> tuple[Side, ...]:
        """Which of them take part."""
        both: tuple[tuple[Side, object], ...] = (("parlour", self._fleet), ("chain", self._chain))
        return tuple(side for side, assistant in both if assistant is not None)

    async def ask(self, side: Side, clip: clips.Clip, turn: int) -> Turn:
        """One turn; what went wrong is in its ``error``."""
        try:
            if side == "parlour":
                return await self._ask_parlour(clip, turn)
            return await self._ask_chain(clip, turn)
        except (OSError, RuntimeError, TimeoutError) as error:
            return Turn(side, clip.name, turn, error=f"{type(error).__name__}: {error}")

    async def _ask_parlour(self, clip: clips.Clip, turn: int) -> Turn:
        assert self._fleet is not None
        answer = await self._fleet.ask(clip)
        timings = {key: float(value) for key, value in answer["timings"].items()}
        return Turn("parlour", clip.name, turn, answer["transcript"], answer["reply"], timings)

    async def _ask_chain(self, clip: clips.Clip, turn: int) -> Turn:
        assert self._chain is not None
        answer = await self._chain.ask(clip)
        extra = {"endpoint_ms": answer.endpoint_ms}
        return Turn(
            "chain", clip.name, turn, answer.transcript, answer.reply, answer.timings, extra
        )


async def measure(sides: Sides, recordings: list[clips.Clip], rounds: int) -> list[Turn]:
    """Every clip on every side, ``rounds`` times; who comes first changes from turn to turn."""
    for side in sides.there:
        for clip in recordings[:2]:
            warm = await sides.ask(side, clip, 0)
            print(f"  warm-up {side}: {_line(warm)}", flush=True)
            await asyncio.sleep(PAUSE_S)
    turns: list[Turn] = []
    for turn in range(1, rounds + 1):
        for number, clip in enumerate(recordings):
            forward = (turn + number) % 2 == 0
            for side in sides.there if forward else reversed(sides.there):
                done = await sides.ask(side, clip, turn)
                turns.append(done)
                print(f"  {turn}.{number + 1:<3} {side:<8} {_line(done)}", flush=True)
                await asyncio.sleep(PAUSE_S)
    return turns


def _line(turn: Turn) -> str:
    if turn.error is not None:
        return f"   -      {turn.clip}: {turn.error}"
    return f"{turn.timings[TOTAL]:6.0f} ms  {turn.clip}"


async def run(arguments: argparse.Namespace) -> int:
    data = data_of(arguments.data)
    models = Models.find(data / "models")
    prompt = Prompt(RouterConfig().system_prompt, LLMWorkerConfig().max_tokens, 0.0)
    peers = ROOT / ".venv-bench/bin/python"
    if not peers.exists():
        print("the chain is not installed: run `make bench-peers`", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder:
        scratch = Path(folder)
        recordings, source = clips.find(arguments.audio, models.voice, scratch)
        print(f"{source}, {arguments.rounds} round(s), {machine.cores()} cores", flush=True)
        if machine.load() > machine.cores() / 4:
            print("the machine is busy with something else: these figures will not be good")
        about = machine.describe(ROOT) | {
            "recordings": source,
            "rounds": arguments.rounds,
            "system_prompt": prompt.system,
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "beam_size": arguments.beam,
            "threads": arguments.threads,
            "chain_endpoint": arguments.endpoint,
            "parlour": machine.versions(machine.PARLOUR),
            "chain": machine.peer_versions(peers),
        }
        servers = Servers(peers, models, scratch, threads=arguments.threads, beam=arguments.beam)
        fleet = Fleet(
            ROOT / ".venv/bin/parlour", scratch_data(data, scratch, PARLOUR_SETTINGS), free_port(),
            scratch / "fleet.log",
        )  # fmt: skip
        try:
            sides = Sides(
                None if arguments.only == "chain" else fleet,
                None
                if arguments.only == "parlour"
                else Chain(servers.ports, prompt, arguments.endpoint),
            )
            if "chain" in sides.there:
                await servers.start()
            if "parlour" in sides.there:
                await fleet.start()
            turns = await measure(sides, recordings, arguments.rounds)
        finally:
            await fleet.stop()
            servers.stop()
    about["load_after"] = machine.load()
    return report(turns, about, arguments)


def report(turns: list[Turn], about: dict[str, object], arguments: argparse.Namespace) -> int:
    """Print the outcome and write the file; 0 when all is well and the ratio good enough."""
    summary = None if arguments.only else summarise(turns)
    if arguments.json:
        text = json.dumps(document(summary, turns, about), indent=1, ensure_ascii=False)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(text + "\n")
    if summary is None:
        print(medians_of(arguments.only, turns))
        return 0
    print(table(summary))
    if summary.ratio > arguments.max_ratio:
        print(f"ABOVE the ratio aimed at, {arguments.max_ratio:g}")
        return 1
    return 1 if summary.failed["parlour"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--audio", type=Path, help="folder of *.wav; default PARLOUR_TEST_AUDIO, else Piper speaks")
    add("--data", type=Path, help="data directory that holds the models (as `parlour --data`)")
    add("--rounds", type=int, default=3, help="how often each clip is asked of each side")
    add("--json", type=Path, help="write every turn and the summary here")
    add("--max-ratio", type=float, default=0.90, help="exit 1 above this ratio")
    add("--only", choices=("parlour", "chain"), help="one side alone: medians, no ratio")
    add("--threads", type=int, default=machine.cores(), help="of the chain's servers")
    add("--beam", type=int, default=1, help="hypotheses of the chain's recogniser")
    add(
        "--endpoint", choices=("wyoming", "homeassistant"), default="wyoming",
        help="what a pause does to the chain's 0.7 s of silence; see bench/endpoint.py",
    )  # fmt: skip
    # A terminated run stops what it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(run(parser.parse_args()))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
