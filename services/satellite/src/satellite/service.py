"""satellite's whole traffic: turns and their sound out, answers and their sound in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from parlour_audio.frames import Samples
from parlour_audio.vad import SileroVad, SpeechProbability
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.room import BargeIn, Cancel, Playback
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript, TurnAbort, TurnClaimed, TurnOpen
from parlour_contracts.topics import (
    AUDIO_OUT,
    BARGE_IN,
    CANCEL,
    HEALTH,
    PLAYBACK,
    SPEECH,
    STT_AUDIO,
    TRANSCRIPT,
    TURN_ABORT,
    TURN_CLAIMED,
    TURN_OPEN,
)
from parlour_kit.backoff import Backoff
from parlour_kit.clock import Clock, utc_text
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.ids import new_id
from parlour_kit.messenger import Frame
from parlour_kit.metrics import rooms
from parlour_kit.probes.checks import Check
from parlour_kit.service import Context, Service
from parlour_kit.settings import ProcessSettings
from parlour_kit.switch import Switch, switch_of

from satellite.backends import make_device, make_wake
from satellite.checking import DeviceCheck, WakeCheck
from satellite.devices.device import Device
from satellite.errors import DeviceError
from satellite.hearing import Hearing
from satellite.mouth import Report
from satellite.room import Command, Hush, Interrupted, Open, Room
from satellite.wake_word import WakeDetector

REOPEN_S = 10.0
"""A sound card that failed is tried again after so long at most."""

PAUSE_S = 0.005
"""Between two lots of frames that were captured before: fast, but no flood."""

EXPIRY_S = 10
"""An open that the broker could not deliver by then is of no use."""

RETRIES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""While the broker is away, what must be known is sent again after so long."""

Message = TurnOpen | BargeIn | Playback


class Satellite(Service[SatelliteConfig]):
    """The microphone and the loudspeaker of the room that its instance is named after.

    Everything is decided in :class:`satellite.room.Room`, within the exchange of one window of
    sound for another; here are the device, the messages, and what goes out, in its order.
    """

    name = "satellite"
    config_model = SatelliteConfig

    def __init__(
        self,
        ctx: Context,
        config: SatelliteConfig,
        *,
        wake_factory: Callable[[SatelliteConfig], WakeDetector] = make_wake,
        device_factory: Callable[[ProcessSettings | None, Clock], Device] = make_device,
        vad_factory: Callable[[], SpeechProbability] = SileroVad,
    ) -> None:
        super().__init__(ctx, config)
        self._make_wake = wake_factory
        self._make_vad = vad_factory
        self._device = device_factory(ctx.settings, self.clock)
        self._room = Room(
            config, vad_factory(), None, new_id,
            rate=self._device.rate, latency_s=self._device.latency_s,
        )  # fmt: skip
        self._site = ctx.instance
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._frames = asyncio.Event()
        self._heard_at = 0.0
        self._opened_at = 0.0
        self._stopping = False
        self._device_check = DeviceCheck(self.clock)
        self._wake_check = WakeCheck(lambda: self._room.ear.wake)

    @property
    def room(self) -> Room:
        """What decides everything."""
        return self._room

    async def load(self) -> None:
        """Load the wake word; errors as in :func:`satellite.backends.make_wake`."""
        self._room.ear.wake = await asyncio.to_thread(self._make_wake, self.config)

    async def serve(self) -> None:
        """Listen to the room and to the house."""
        messenger, site = self.messenger, self._site
        messenger.spawn(self._send_messages(), "messages")
        messenger.spawn(self._send_frames(), "frames")
        await messenger.on(HEALTH, self._on_health)
        await messenger.on(TURN_CLAIMED, self._on_claimed, site=site)
        await messenger.on(TRANSCRIPT, self._on_transcript, site=site)
        await messenger.on(TURN_ABORT, self._on_abort, site=site)
        await messenger.on(CANCEL, self._on_cancel, site=site)
        await messenger.on(SPEECH, self._on_speech, site=site)
        await messenger.on_frame(AUDIO_OUT, self._on_frame, site=site)
        messenger.spawn(self._use_device(), "device")

    async def stage(self, new: SatelliteConfig) -> Switch:
        """Load another wake word where the settings want one, or none could be loaded so far.

        Raises:
            WakeMissingError, WakeBrokenError: it does not load; the old one goes on.
        """
        same = new.wake_word == self.config.wake_word and self._room.ear.wake is not None
        if same:
            return switch_of(lambda: self._use(new))
        wake = await asyncio.to_thread(self._make_wake, new)

        def commit() -> None:
            before, self._room.ear.wake = self._room.ear.wake, wake
            if before is not None:
                before.close()
            self._use(new)

        return switch_of(commit, wake.close)

    def _use(self, new: SatelliteConfig) -> None:
        self.config = new
        self._room.use(new, self.clock.monotonic())

    async def drain(self) -> None:
        """Close the microphone and be silent; tell so."""
        self._stopping = True
        self._room.cancelled(self.clock.monotonic())
        self._carry_out()
        while not self._messages.empty() and self.ctx.bus.connected:
            await self.clock.sleep(0.01)

    async def close(self) -> None:
        """Free the wake word."""
        if self._room.ear.wake is not None:
            self._room.ear.wake.close()

    def components(self) -> dict[str, bool]:
        """The device works; the wake word is loaded."""
        return {"audio": self._device_check.well, "wake": self._room.ear.wake is not None}

    def checks(self) -> list[Check]:
        """Sound comes from the microphone, and the wake word's model takes it."""
        return [self._device_check.check, self._wake_check.check]

    # Sound

    async def _use_device(self) -> None:
        """Exchange sound with the device for ever; one that fails is opened again."""
        backoff = Backoff(cap=REOPEN_S)
        while True:
            try:
                await self._device.run(self._exchange)
            except ParlourError as error:
                self._no_sound(error)
            except Exception as error:  # noqa: BLE001  # a driver may raise anything; try again
                self._no_sound(DeviceError(f"the sound card failed ({type(error).__name__})"))
            await self.clock.sleep(backoff.next())

    def _no_sound(self, error: ParlourError) -> None:
        rooms.device_failures.inc()
        again = self._device_check.failed(error)
        tell = self.log.debug if again else self.log.error
        tell("no sound", code=error.code, reason=str(error), hint=error.hint)

    def _exchange(self, window: Samples) -> Samples:
        """One window of the microphone for one of the loudspeaker; never raises."""
        self._device_check.heard()
        try:
            sound = self._room.hear(window, self.clock.monotonic())
            self._carry_out()
        except Exception as error:  # noqa: BLE001  # whatever it is, the room is heard on
            self.messenger.failed("exchange", error)
            return np.zeros(len(window) * self._device.rate // 16_000, np.float32)
        if self._room.hearing is not None:
            self._frames.set()
        return sound

    # What comes in

    def _on_health(self, health: Health, _levels: dict[str, str]) -> None:
        self._room.health(health, self.clock.monotonic())

    def _on_claimed(self, claim: TurnClaimed, _levels: dict[str, str]) -> None:
        if self._room.claimed(claim):
            rooms.claim.observe(self.clock.monotonic() - self._opened_at)
            self._frames.set()

    def _on_transcript(self, transcript: Transcript, _levels: dict[str, str]) -> None:
        self._room.transcript(transcript, self.clock.monotonic())

    def _on_abort(self, abort: TurnAbort, _levels: dict[str, str]) -> None:
        self._room.aborted(abort, self.clock.monotonic())
        self._carry_out()

    def _on_cancel(self, _cancel: Cancel, _levels: dict[str, str]) -> None:
        self._room.cancelled(self.clock.monotonic())
        self._carry_out()

    def _on_speech(self, speech: Speech, _levels: dict[str, str]) -> None:
        self._room.speech(speech, self.clock.monotonic())
        self._carry_out()

    def _on_frame(self, frame: Frame, levels: dict[str, str]) -> None:
        now = self.clock.monotonic()
        self._room.frame(levels["utterance_id"], frame.payload, frame.properties, now)

    # What goes out

    def _carry_out(self) -> None:
        commands, self._room.out = self._room.out, []
        for command in commands:
            message = self._message(command)
            if message is not None:
                self._messages.put_nowait(message)

    def _message(self, command: Command) -> Message | None:
        match command:
            case Hush():
                self._device.hush()
                return None
            case Open():
                self._opened_at = self.clock.monotonic()
                rooms.turn_opened(command.attempt, command.cause)
                self.log.info("turn opened", turn_id=command.turn_id, attempt=command.attempt,
                              cause=command.cause)  # fmt: skip
                return TurnOpen(
                    turn_id=command.turn_id, attempt=command.attempt, wake=command.wake,
                    opened_at=utc_text(self.clock.wall()),
                )  # fmt: skip
            case Interrupted():
                return BargeIn(
                    utterance_id=command.utterance_id, played_ms=command.played_ms,
                    confidence=command.confidence, speech_ms=command.speech_ms,
                )  # fmt: skip
            case Report():
                if command.event in ("finished", "stopped"):
                    rooms.utterances.labels(command.event).inc()
                return Playback(
                    utterance_id=command.utterance_id, event=command.event,
                    played_ms=command.played_ms,
                )  # fmt: skip

    async def _send_messages(self) -> None:
        """One after the other, so that no report overtakes another."""
        while True:
            message = await self._messages.get()
            for wait in (*RETRIES_S, None):
                try:
                    await self._send(message)
                    break
                except BusError as error:
                    if wait is None or not error.retryable or _passes(message):
                        self.log.warning("unsent", kind=type(message).__name__, code=error.code)
                        break
                    await self.clock.sleep(wait)

    async def _send(self, message: Message) -> None:
        match message:
            case TurnOpen():
                await self.messenger.send(TURN_OPEN, message, expiry_s=EXPIRY_S, site=self._site)
            case BargeIn():
                await self.messenger.send(BARGE_IN, message, site=self._site)
            case Playback():
                await self.messenger.send(PLAYBACK, message, site=self._site)

    async def _send_frames(self) -> None:
        while True:
            await self._frames.wait()
            self._frames.clear()
            hearing = self._room.hearing
            try:
                while hearing is not None and hearing is self._room.hearing and hearing.behind:
                    await self._send_some(hearing)
            except BusError as error:
                # The turn keeps what was not sent; the bus connects again by itself.
                self.log.debug("frames wait", code=error.code)

    async def _send_some(self, hearing: Hearing) -> None:
        claim = hearing.claim
        for frame in hearing.pending():
            if claim is None or hearing.claim is not claim:
                return  # somebody else listens now, from the beginning
            properties = {
                "seq": str(frame.seq), "rate": "16000", "channels": "1", "encoding": "pcm",
                "end": str(int(frame.end)),
            }  # fmt: skip
            await self.messenger.send_frame(
                STT_AUDIO, frame.payload, properties, instance=claim.instance,
                turn_id=hearing.turn_id, site=self._site,
            )  # fmt: skip
            if hearing.claim is claim:
                hearing.sent(frame, self.clock.monotonic())
                rooms.frames_sent.inc()
        await self.clock.sleep(PAUSE_S)


def _passes(message: Message) -> bool:
    """Whether it is out of date once it could be sent; a turn is opened again by itself."""
    return isinstance(message, TurnOpen) or (
        isinstance(message, Playback) and message.event == "position"
    )
