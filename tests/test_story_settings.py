"""Settings change while people talk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_contracts.messages.room import Ask
from parlour_contracts.topics import ASK, LLM_REQUEST, SPEECH
from parlour_testkit import ConfigAuthority, Observer
from parlour_testkit.buses import connections, params
from story_fleet import scripted_fleet


@pytest.mark.req("C033", "C085", "SC003")
@pytest.mark.parametrize("kind", params())
async def test_every_service_takes_a_change_and_the_conversation_goes_on(
    kind: str, tmp_path: Path
) -> None:
    async with connections(kind) as connect:
        authority = await ConfigAuthority(await connect("config-manager")).watch()
        observer = await Observer(await connect("observer")).watch(LLM_REQUEST, SPEECH)
        async with scripted_fleet(connect, feed=authority.feed(tmp_path)) as fleet:
            changes = {
                "router": {"system_prompt": "You are a parrot."},
                "llm-worker": {"temperature": 0.1},
                "tts-worker": {"volume_percent": 40},
                "stt-worker": {"vad_threshold": 0.6},
            }
            for service, config in changes.items():
                report = await authority.change(service, config)
                assert (report.service, report.status) == (service, "applied")
                assert fleet.services[service].config.model_dump().items() >= config.items()

            assert fleet.messenger is not None
            await asyncio.sleep(0.2)
            await fleet.messenger.send(ASK, Ask(text="who are you"), site="kitchen")
            request = await observer.until(LLM_REQUEST)
            assert request.messages[0].content.startswith("You are a parrot.")
            await observer.until(SPEECH, lambda s: s.event == "completed")
