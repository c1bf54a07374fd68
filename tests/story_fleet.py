"""The five processes within one test, with engines that follow a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llm_worker.service import LlmWorker
from parlour_audio.frames import Pcm16
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import Messenger
from parlour_kit.service import Service
from parlour_kit.vitals import Sensors
from parlour_testkit.buses import Connect
from parlour_testkit.fakes_llm import FakeLlm
from parlour_testkit.fakes_room import ToneWake
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from parlour_testkit.fakes_tts import FakeVoice
from parlour_testkit.running import FeedOf, running_service
from router.service import Router
from satellite.devices.virtual import VirtualDevice
from satellite.service import Satellite
from satellite.virtual import VirtualRoom
from stt_worker.service import SttWorker
from tts_worker.service import TtsWorker


@dataclass
class Scripted:
    """Engines of a fleet; each follows its script."""

    ears: FakeRecogniser = field(default_factory=FakeRecogniser)
    mind: FakeLlm = field(default_factory=FakeLlm)
    voice: FakeVoice = field(default_factory=FakeVoice)

    sensors: Sensors | None = None
    """Of the machine that they run on; without them it never gets hot."""
    services: dict[str, Service[Any]] = field(default_factory=dict)
    messenger: Messenger | None = None


@asynccontextmanager
async def scripted_fleet(
    connect: Connect,
    engines: Scripted | None = None,
    feed: FeedOf | None = None,
    room: VirtualRoom | None = None,
) -> AsyncIterator[Scripted]:
    """Four workers over one broker, and a messenger of a person beside them.

    With a feed, such as a ConfigAuthority's, their settings change while they run. With a room
    there is a satellite in it, too, named ``satellite``.
    """
    fleet = engines or Scripted()
    async with AsyncExitStack() as stack:

        async def run(service: type[Service[Any]], **engine: Any) -> None:
            bus = await connect(service.name)
            running = running_service(service, bus, feed=feed, sensors=fleet.sensors, **engine)
            fleet.services[service.name] = await stack.enter_async_context(running)

        await run(
            SttWorker, recogniser=fleet.ears.factory(), vad=LoudnessVad, config=STTWorkerConfig()
        )
        await run(LlmWorker, engine_factory=fleet.mind)
        await run(TtsWorker, engine_factory=fleet.voice.factory)
        await run(Router)
        if room is not None:
            await run(
                Satellite,
                wake_factory=lambda _config: ToneWake(),
                vad_factory=LoudnessVad,
                device_factory=lambda _settings, clock: VirtualDevice(room, clock),
            )
        person = Messenger(await connect("person"), "person", LoopClock())
        fleet.messenger = person
        yield fleet
        await person.close()


def spoken(ms: float = 1200) -> Pcm16:
    """Something that the scripted ears take for speech, after a short silence."""
    return np.concatenate([silence(300), tone(ms), silence(200)])


PLAIN = AudioFormat()
