"""Turns a conversation into the text that a local model continues. Pure.

A chat model brings its own template. Templates differ in what they accept: some know no
system role, some insist that user and assistant alternate. Which form a model takes is found
out once, when it is loaded, so that the same conversation always gives the same bytes and the
engine can keep what it has computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from parlour_contracts.messages.llm import ChatMessage

from llm_worker.errors import EngineFailedError

Template = Callable[[list[dict[str, str]]], str]
"""A model's own template: messages as role and content → prompt. May raise anything."""

Form = Literal["chat", "folded", "plain"]

_PROBE = (
    ChatMessage(role="system", content="probe-system"),
    ChatMessage(role="user", content="probe-user"),
    ChatMessage(role="assistant", content="probe-assistant"),
    ChatMessage(role="user", content="probe-last"),
)
_LABELS = {"user": "User", "assistant": "Assistant", "tool": "Result"}
PLAIN_STOPS = ("\nUser:", "\nResult:", "\nAssistant:")


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders conversations in the form that was found to work.

    Attributes:
        form: ``chat`` is the template as it is, ``folded`` puts the system prompt into the
            first user message, ``plain`` is a text with speakers for models without template.
        stops: texts at which a model without template begins to speak for the others.
    """

    form: Form
    template: Template | None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        return PLAIN_STOPS if self.form == "plain" else ()

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt, ending where the assistant begins to speak.

        Raises:
            EngineFailedError: the template refuses this conversation.
        """
        merged = _merged(messages)
        if self.form == "plain" or self.template is None:
            return _plain(merged)
        try:
            return self.template(_dicts(_folded(merged) if self.form == "folded" else merged))
        except Exception as error:  # noqa: BLE001  # a program from a file: it may raise anything
            raise EngineFailedError(
                f"the model's chat template failed with {type(error).__name__}",
                code="LLM_TEMPLATE", retryable=False, hint="choose another model",
            ) from None  # fmt: skip


def choose_renderer(template: Template | None) -> Renderer:
    """The first form in which the template renders a whole conversation, losing nothing."""
    forms: tuple[Form, ...] = ("chat", "folded")
    for form in forms if template is not None else ():
        renderer = Renderer(form, template)
        try:
            text = renderer.render(_PROBE)
        except EngineFailedError:
            continue
        if all(message.content in text for message in _PROBE):
            return renderer
    return Renderer("plain", None)


def _merged(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Neighbours of the same role become one message; many templates insist on it."""
    merged: list[ChatMessage] = []
    for message in messages:
        if merged and merged[-1].role == message.role and message.role != "tool":
            joined = f"{merged[-1].content}\n{message.content}"
            merged[-1] = message.model_copy(update={"content": joined})
        else:
            merged.append(message)
    return merged


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    system = "\n".join(m.content for m in messages if m.role == "system")
    spoken = [m for m in messages if m.role != "system"]
    if not system:
        return spoken
    if not spoken or spoken[0].role != "user":
        return [ChatMessage(role="user", content=system), *spoken]
    first = ChatMessage(role="user", content=f"{system}\n\n{spoken[0].content}")
    return [first, *spoken[1:]]


def _dicts(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _plain(messages: Sequence[ChatMessage]) -> str:
    lines = [
        f"{m.content}\n" if m.role == "system" else f"{_LABELS[m.role]}: {m.content}"
        for m in messages
    ]
    return "\n".join([*lines, "Assistant:"])
