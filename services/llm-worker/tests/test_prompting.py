"""A conversation becomes the same bytes each time, whatever the model's template accepts."""

from __future__ import annotations

import pytest
from llm_worker.errors import EngineFailedError
from llm_worker.prompting import choose_renderer
from parlour_contracts.messages.llm import ChatMessage

TALK = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="Hello"),
    ChatMessage(role="assistant", content="Hi"),
    ChatMessage(role="user", content="How are you?"),
]


def chatml(messages: list[dict[str, str]]) -> str:
    lines = [f"<{m['role']}>{m['content']}</{m['role']}>" for m in messages]
    return "".join([*lines, "<assistant>"])


def strict(messages: list[dict[str, str]]) -> str:
    """As some families do: no system role, user and assistant alternate."""
    for index, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[index % 2]:
            raise ValueError("roles must alternate")
    return chatml(messages)


def deaf(messages: list[dict[str, str]]) -> str:
    """Leaves the system prompt out without a word."""
    return chatml([m for m in messages if m["role"] != "system"])


def test_a_template_that_takes_everything_is_used_as_it_is():
    renderer = choose_renderer(chatml)

    assert renderer.form == "chat"
    assert renderer.stops == ()
    assert renderer.render(TALK).startswith("<system>Be brief.</system><user>Hello</user>")


@pytest.mark.parametrize("template", [strict, deaf])
def test_a_system_prompt_that_the_template_will_not_take_goes_into_the_first_question(template):
    renderer = choose_renderer(template)

    assert renderer.form == "folded"
    assert renderer.render(TALK).startswith("<user>Be brief.\n\nHello</user><assistant>Hi<")


def test_neighbours_of_one_role_become_one_message():
    talk = [*TALK, ChatMessage(role="user", content="Hello?")]

    assert "<user>How are you?\nHello?</user>" in choose_renderer(strict).render(talk)


def test_a_model_without_template_gets_a_text_with_speakers():
    renderer = choose_renderer(None)

    assert renderer.render(TALK) == (
        "Be brief.\n\nUser: Hello\nAssistant: Hi\nUser: How are you?\nAssistant:"
    )
    assert "\nUser:" in renderer.stops


def test_a_template_that_always_fails_is_as_good_as_none():
    def broken(messages: list[dict[str, str]]) -> str:
        raise ZeroDivisionError

    assert choose_renderer(broken).form == "plain"


def test_a_template_that_refuses_one_conversation_is_an_error_without_its_text():
    renderer = choose_renderer(strict)
    talk = [ChatMessage(role="assistant", content="secret words")]

    with pytest.raises(EngineFailedError) as caught:
        renderer.render(talk)

    assert "secret" not in str(caught.value)
    assert caught.value.wire().code == "LLM_TEMPLATE"


@pytest.mark.parametrize("template", [chatml, strict])
def test_the_next_turn_begins_with_the_bytes_of_the_turn_before(template):
    renderer = choose_renderer(template)
    first = renderer.render(TALK)
    later = renderer.render(
        [
            *TALK,
            ChatMessage(role="assistant", content="Fine"),
            ChatMessage(role="user", content="?"),
        ]
    )

    assert later.startswith(first)
