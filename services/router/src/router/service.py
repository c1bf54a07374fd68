"""The router's whole traffic: what the rooms hear and do in, work and states out."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import ClassVar

from parlour_config.process import FOLDER
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest
from parlour_contracts.messages.room import (
    Ask,
    BargeIn,
    Cancel,
    Playback,
    RoomState,
    Say,
    TurnLatency,
    TurnTrace,
)
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.messages.turn import Transcript, TurnClaimed
from parlour_contracts.topics import (
    ASK,
    BARGE_IN,
    CANCEL,
    HEALTH,
    LLM_CANCEL,
    LLM_REPLY,
    PLAYBACK,
    ROOM_STATE,
    SAY,
    SPEECH,
    TRANSCRIPT,
    TURN_CLAIMED,
    TURN_LATENCY,
)
from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id
from parlour_kit.metrics import turns, work
from parlour_kit.service import Context, Service
from parlour_kit.switch import Switch, switch_of

from router.ambient import Ambient, Publish
from router.boundaries import check_expression
from router.commands import RULES
from router.desk import Kept
from router.keeper import Keeper
from router.measuring import Measuring
from router.outbox import Outbox
from router.room import Room
from router.states import Transition
from router.watching import Watching
from router.workers import Workers
from router.zones import zone_of

SWEEP_S = 300.0
KEPT_S = 2.0
"""So long after the start timers wait for the states that an earlier run of the router left."""
MAX_ROOMS = 1000
REMEMBERED = 4096


class Router(Service[RouterConfig]):
    """Holds the conversation of each room.

    Handlers hand each message to its room, which is pure, and pass on what the room answers.
    ``counts`` holds what happened (R009).
    """

    name: ClassVar[str] = "router"
    config_model: ClassVar[type[RouterConfig]] = RouterConfig

    def __init__(self, ctx: Context, config: RouterConfig) -> None:
        super().__init__(ctx, config)
        self.counts: Counter[str] = Counter()
        self.rooms: dict[str, Room] = {}
        self._measuring = Measuring(self.clock.monotonic)
        self._workers = Workers(self.clock.monotonic)
        self._ambient = Ambient(
            self.clock.monotonic,
            lambda: utc_text(self.clock.wall()),
            new_id,
            self._workers,
            ctx.instance,
        )
        self._outboxes: dict[str, Outbox] = {}
        self._timers: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._requests: OrderedDict[str, str] = OrderedDict()
        self._strays: OrderedDict[str, None] = OrderedDict()
        self._draining = False
        self._watching = Watching(self.clock, self.log)
        self._keeper = Keeper(ctx.data_dir / FOLDER / f"{ctx.instance}-rooms.json", self.log)
        self._kept: dict[str, Kept] = {}
        turns.begin_commands(rule.intent for rule in RULES)

    async def load(self) -> None:
        """Read what an earlier run has left of the rooms."""
        self._kept = await asyncio.to_thread(self._keeper.load)

    async def serve(self) -> None:
        """Listen to the rooms and to the workers."""
        self.ctx.bus.on_connected(self._restate)
        self.messenger.spawn(self._sweep(), "sweep")
        self.messenger.spawn(self._keeper.run(), "keeper")
        self.messenger.spawn(self._take_up(list(self._kept)), "kept rooms")
        on = self.messenger.on
        await on(HEALTH, self._on_health)
        await on(LLM_REPLY, self._on_reply, instance=self.ctx.instance)
        await on(SPEECH, self._on_speech)
        await on(PLAYBACK, self._on_playback)
        await on(BARGE_IN, self._on_barge_in)
        await on(ROOM_STATE, self._on_state)
        await on(CANCEL, self._on_cancel)
        await on(TURN_CLAIMED, self._on_claimed)
        await on(TRANSCRIPT, self._on_transcript)
        await on(SAY, self._on_say)
        await on(ASK, self._on_ask)

    async def stage(self, new: RouterConfig) -> Switch:
        """Settings count from the next turn on; a turn ends by those it began with.

        A session that is too old by the new ones, and in which nothing runs, ends at once.

        Raises:
            ExpressionError: the expression for the end of a sentence cannot be used.
            ZoneError: the machine does not know the time zone.
        """
        check_expression(new.router_stream_boundary_regex)
        zone_of(new.time_zone)

        def commit() -> None:
            self.config = new
            self._sweep_rooms()

        return switch_of(commit)

    async def drain(self) -> None:
        """Take no more; end what runs, so that every turn has its end."""
        self._draining = True  # from here on, what is silenced has not been heard
        for room in list(self.rooms.values()):
            self._act(room, room.cancel("the router stops"))
        await self._keeper.flush()
        await asyncio.gather(*(box.drained() for box in self._outboxes.values()))

    def queue(self) -> int:
        """What waits behind a running reply, in all rooms."""
        return sum(len(room.waiting) for room in self.rooms.values())

    # What comes in. These run in the receive loop and return at once.

    def _on_claimed(self, claim: TurnClaimed, params: dict[str, str]) -> None:
        if (room := self._room(params["site"])) is not None:
            self._act(room, room.claimed(claim))

    def _on_transcript(self, transcript: Transcript, params: dict[str, str]) -> None:
        if (room := self._room(params["site"])) is not None:
            self._act(room, room.transcript(transcript))

    def _on_reply(self, reply: LlmReply, _params: dict[str, str]) -> None:
        room = self.rooms.get(self._requests.get(reply.request_id, ""))
        if room is None:
            self._drop_stray(reply)
            return
        self.counts[f"llm_{reply.kind}"] += 1
        self._measuring.came(reply)
        self._act(room, room.reply(reply))

    def _on_speech(self, event: Speech, params: dict[str, str]) -> None:
        if (room := self.rooms.get(params["site"])) is not None:
            self.counts[f"speech_{event.event}"] += 1
            self._act(room, room.speech(event))

    def _on_playback(self, report: Playback, params: dict[str, str]) -> None:
        if (room := self.rooms.get(params["site"])) is not None:
            self._act(room, room.playback(report))

    def _on_barge_in(self, report: BargeIn, params: dict[str, str]) -> None:
        if (room := self.rooms.get(params["site"])) is not None:
            self.counts["barge_ins"] += 1
            self._act(room, room.barge_in(report))

    def _on_state(self, state: RoomState, params: dict[str, str]) -> None:
        """What an earlier run of this router left behind; its own states are of known rooms."""
        if params["site"] not in self.rooms and (room := self._room(params["site"])) is not None:
            self._act(room, room.recover(state))

    def _on_say(self, say: Say, params: dict[str, str]) -> None:
        if (room := self._room(params["site"])) is not None:
            self._act(room, room.say(say))

    def _on_ask(self, ask: Ask, params: dict[str, str]) -> None:
        if (room := self._room(params["site"])) is not None:
            self._act(room, room.ask(ask.text, ask.turn_id))

    def _on_cancel(self, cancel: Cancel, params: dict[str, str]) -> None:
        if (room := self.rooms.get(params["site"])) is not None:
            self._act(room, room.cancel(cancel.reason or "person"))

    def _on_health(self, health: Health, params: dict[str, str]) -> None:
        if health.instance != params["instance"]:
            return
        change = self._workers.note(health)
        for room in list(self.rooms.values()):
            if change.lost:
                self._act(room, room.lost(change.instance))
            if change.up:
                self._act(room, room.ready())

    def _drop_stray(self, reply: LlmReply) -> None:
        """An answer nobody waits for, of an earlier run perhaps: tell its worker once."""
        if reply.kind not in ("claimed", "delta") or reply.request_id in self._strays:
            return
        self.counts["llm_stray"] += 1
        work.dropped("stray")
        _remember(self._strays, reply.request_id, None)
        message = LlmCancel(request_id=reply.request_id, reason="nobody waits for it")
        stray = Publish(LLM_CANCEL, message, {"instance": reply.instance})
        self._outbox("").put(stray)

    # What goes out

    def _room(self, site: str) -> Room | None:
        room = self.rooms.get(site)
        if room is None and not self._draining:
            if len(self.rooms) >= MAX_ROOMS:
                self.counts["rooms_refused"] += 1
                work.dropped("refused")
                self.log.error("too many rooms", limit=MAX_ROOMS)
                return None
            room = Room(site, self.config, self._ambient, self._note_transition, turns.command)
            if site in self._kept:
                room.desk.restore(self._kept[site])
            self.rooms[site] = room
            turns.conversations.set(len(self.rooms))
        if room is not None:
            room.config = self.config
        return room

    def _act(self, room: Room, messages: list[Publish]) -> None:
        for publish in messages:
            message = publish.message
            self._measuring.goes(message)
            if isinstance(message, LlmRequest):
                _remember(self._requests, message.request_id, room.site)
                self.counts["llm_requests"] += 1
            elif isinstance(message, TtsRequest):
                self.counts["sentences"] += bool(message.text)
            elif isinstance(message, TurnTrace):
                self._note_end(room.site, message)
            self._outbox(room.site).put(publish)
            if isinstance(message, TurnTrace):
                self._outbox(room.site).put(_latency(message, publish.params))
        self._keep(room)
        self._arm(room)

    def _keep(self, room: Room) -> None:
        """Have what outlives the process written when it is something else."""
        kept = room.desk.kept
        if self._draining or kept == self._kept.get(room.site, Kept()):
            return
        self._kept[room.site] = kept
        if room.desk.is_empty:
            del self._kept[room.site]
        self._keeper.put(self._kept)

    async def _take_up(self, sites: list[str]) -> None:
        """Have the timers of an earlier run ring, also in rooms of which nothing is heard."""
        await self.clock.sleep(KEPT_S)
        for site in sites:
            if (room := self._room(site)) is not None:
                self._act(room, room.tick())

    def _outbox(self, site: str) -> Outbox:
        box = self._outboxes.get(site)
        if box is None:
            box = Outbox(self.messenger, self.clock, lambda p: self._unsent(site, p))
            self._outboxes[site] = box
            self.messenger.spawn(box.run(), f"outbox:{site}")
        return box

    def _unsent(self, site: str, publish: Publish) -> None:
        self.counts["unsent"] += 1
        work.dropped("unsent")
        room = self.rooms.get(site)
        if room is not None and isinstance(publish.message, LlmRequest | TtsRequest):
            self._act(room, room.unsent(publish.message))

    def _restate(self) -> None:
        """After each connect: a broker may have lost what was retained."""
        for room in list(self.rooms.values()):
            self._act(room, room.restate())

    # Time

    def _arm(self, room: Room) -> None:
        """Have the room called when it wants to be."""
        at, armed = room.deadline, self._timers.get(room.site)
        if armed is not None:
            if armed[0] == at:
                return
            armed[1].cancel()
            del self._timers[room.site]
        if at is not None:
            delay = max(0.0, at - self.clock.monotonic())
            timer = asyncio.get_running_loop().call_later(delay, self._tick, room)
            self._timers[room.site] = (at, timer)

    def _tick(self, room: Room) -> None:
        self._timers.pop(room.site, None)
        try:
            messages = room.tick()
        except Exception as error:  # noqa: BLE001  # one room's trouble is not the others'
            self.messenger.failed("tick", error)
            return
        self._act(room, messages)

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_S)
            self._sweep_rooms()

    def _sweep_rooms(self) -> None:
        """Tell every room the settings of the moment, and end the sessions that are too old."""
        for room in list(self.rooms.values()):
            room.config = self.config
            self._act(room, room.sweep())

    async def close(self) -> None:
        """Stop the timers."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._watching.close()

    # What is noted

    def _note_transition(self, site: str, session_id: str, step: Transition) -> None:
        turns.left_state(step.before, step.seconds)
        self._watching.on(site, session_id, step)
        self.log.debug(
            "state", site=site, session_id=session_id, before=step.before, after=step.after,
            seconds=round(step.seconds, 3),
        )  # fmt: skip

    def _note_end(self, site: str, trace: TurnTrace) -> None:
        """The one line of a turn; no word of what was said."""
        self.counts[f"turns_{trace.outcome}"] += 1
        self.log.info(
            "turn", site=site, turn_id=trace.turn_id, session_id=trace.session_id,
            outcome=trace.outcome, sentences=trace.sentences, workers=trace.workers,
            code=trace.error.code if trace.error else None,
            **{k: round(v, 1) for k, v in trace.timings.model_dump(exclude_none=True).items()},
        )  # fmt: skip


def _latency(trace: TurnTrace, levels: Mapping[str, str]) -> Publish:
    """The times of a turn, for those who may not read what was said."""
    message = TurnLatency(turn_id=trace.turn_id, outcome=trace.outcome, timings=trace.timings)
    return Publish(TURN_LATENCY, message, levels)


def _remember(
    memory: OrderedDict[str, str] | OrderedDict[str, None], key: str, value: object
) -> None:
    memory[key] = value  # type: ignore[assignment]  # both kinds hold what their caller gives
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
