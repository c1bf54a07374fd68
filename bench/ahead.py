"""What it gains to recognise ahead of the endpoint, beside the same stt-worker that does not.

    python -m bench.ahead [--audio DIR] [--data DIR] [--rounds 3] [--model base] [--json FILE]

One stt-worker with the real detector and the real recogniser hears each recording twice in real
time, with ``transcribe_ahead`` and without; who comes first changes from clip to clip. It runs in
this process and its messages stay in memory: what is compared is the hearing, not the broker.
Shown are the time from the last speech to the final transcript and the processor time of a turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from parlour_audio.frames import split
from parlour_audio.vad import VAD_RATE
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import Transcript, TurnClaimed, TurnOpen
from parlour_contracts.topics import STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service
from stt_worker.service import SttWorker

from bench.clips import Clip, load
from bench.machine import describe
from bench.machine import load as busy
from bench.measure import ratio_interval

ROOT = Path(__file__).resolve().parents[1]
FRAME_MS = 20
AFTER_S = 4.0
"""Silence after a recording: the endpoint comes within it."""


@dataclass(frozen=True)
class Heard:
    """One hearing: ms from the last speech to the final transcript, and seconds of processor."""

    late_ms: float
    cpu_s: float
    text: str


async def hear(here: Observer, clip: Clip) -> Heard:
    """Speak a recording to the worker, frame by frame as time passes."""
    turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
    await here.messenger.send(TURN_OPEN, turn, site="kitchen")
    await here.until(TURN_CLAIMED, lambda claim: is_of(claim, turn))
    answer = asyncio.ensure_future(
        here.until(TRANSCRIPT, lambda told: is_of(told, turn) and told.is_final, 60.0)
    )
    sound = np.concatenate([clip.pcm, np.zeros(int(VAD_RATE * AFTER_S), np.int16)])
    began, used = time.perf_counter(), time.process_time()
    for number, frame in enumerate(split(sound, VAD_RATE, FRAME_MS, 1)):
        if answer.done():
            break
        await asyncio.sleep(max(0.0, began + number * FRAME_MS / 1000 - time.perf_counter()))
        await here.messenger.send_frame(
            STT_AUDIO, frame.tobytes(), {"seq": str(number)},
            instance="stt-worker", site="kitchen", turn_id=turn.turn_id,
        )  # fmt: skip
    told = await answer
    times = told.timings
    cpu_s = time.process_time() - used
    return Heard(times.endpoint_wait_ms + times.transcribe_ms, cpu_s, told.text)


def is_of(message: TurnClaimed | Transcript, turn: TurnOpen) -> bool:
    return message.turn_id == turn.turn_id


async def compare(clips: list[Clip], data: Path, model: str, rounds: int) -> dict[str, Any]:
    """Every clip with and without, round after round."""
    broker, pairs = MemoryBroker(), []
    base = STTWorkerConfig(whisper_model=model)
    async with memory_service(SttWorker, broker, config=base, data_dir=data) as worker:
        here = await Observer(broker.client("kitchen")).watch(TURN_CLAIMED, TRANSCRIPT)
        for number, clip in enumerate(clips * rounds):
            found: dict[bool, Heard] = {}
            for ahead in (True, False) if number % 2 else (False, True):
                switch = await worker.stage(base.model_copy(update={"transcribe_ahead": ahead}))
                await switch.commit()
                found[ahead] = await hear(here, clip)
            pairs.append((found[True], found[False]))
            print(f"  {clip.name[:38]:38}  ahead {found[True].late_ms:6.0f} ms"
                  f"  not {found[False].late_ms:6.0f} ms", flush=True)  # fmt: skip
    late = [(a.late_ms, b.late_ms) for a, b in pairs]
    ahead_ms, not_ms = median(a for a, _ in late), median(b for _, b in late)
    cpu = [(a.cpu_s, b.cpu_s) for a, b in pairs]
    return {
        "pairs": len(pairs),
        "late_ms": {"ahead": round(ahead_ms, 1), "not": round(not_ms, 1)},
        "ratio": round(ahead_ms / not_ms, 3),
        "ratio_95": ratio_interval(late),
        "cpu_s": {"ahead": round(median(a for a, _ in cpu), 3),
                  "not": round(median(b for _, b in cpu), 3)},
        "cpu_ratio": round(median(a for a, _ in cpu) / median(b for _, b in cpu), 3),
        "same_words": sum(plain(a.text) == plain(b.text) for a, b in pairs),
    }  # fmt: skip


def plain(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(c for c in text.lower() if c.isalnum())


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audio", type=Path, default=os.environ.get("PARLOUR_TEST_AUDIO"))
    parser.add_argument("--data", type=Path, default=Path.home() / ".local/share/parlour")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.audio is None:
        parser.error("--audio, or PARLOUR_TEST_AUDIO, names the folder with recordings")
    before = busy()
    clips = [load(path) for path in sorted(Path(chosen.audio).glob("*.wav"))]
    result = asyncio.run(compare(clips, chosen.data, chosen.model, chosen.rounds))
    print(json.dumps(result, indent=2))
    if chosen.json is not None:
        told = {"machine": describe(ROOT), "load": [before, busy()], "model": chosen.model}
        chosen.json.write_text(json.dumps(told | result, indent=2) + "\n")


if __name__ == "__main__":
    main()
