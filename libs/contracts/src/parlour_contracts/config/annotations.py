"""Reads what a field of a settings model permits from its annotation. Pure."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from parlour_contracts.config.marks import PathMark, SecretMark
from parlour_contracts.messages.configuration import ConfigType

_PLAIN = {
    bool: ConfigType.BOOLEAN,
    int: ConfigType.INTEGER,
    float: ConfigType.FLOAT,
    str: ConfigType.STRING,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field holds.

    Attributes:
        type: the kind of value.
        nullable: whether null is a value of it.
        minimum, maximum: bounds of numbers, inclusive but for ``above``.
        above: whether a float must be more than ``minimum``, not equal to it.
        shortest, longest: lengths of texts, in characters.
        pattern: what a text must match.
        allowed: the values of an enum.
    """

    type: ConfigType
    nullable: bool
    minimum: int | float | None = None
    maximum: int | float | None = None
    above: bool = False
    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None


def shape_of(field: FieldInfo) -> Shape:
    """The shape of a field.

    Raises:
        TypeError: settings hold booleans, numbers, texts and choices of texts only.
    """
    annotation, nullable, marks = _core(field.annotation, list(field.metadata))
    kind = _kind(annotation, marks)
    minimum, above = _bound(marks, "ge"), False
    more = _bound(marks, "gt")
    if more is not None:
        whole = kind is ConfigType.INTEGER
        minimum, above = (more + 1, False) if whole else (more, True)
    maximum = _bound(marks, "le")
    less = _bound(marks, "lt")
    if less is not None:
        maximum = less - 1 if kind is ConfigType.INTEGER else less
    return Shape(
        type=kind,
        nullable=nullable,
        minimum=minimum,
        maximum=maximum,
        above=above,
        shortest=_bound(marks, "min_length"),
        longest=_bound(marks, "max_length"),
        pattern=_bound(marks, "pattern"),
        allowed=tuple(get_args(annotation)) if kind is ConfigType.ENUM else None,
    )


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's value must never be shown."""
    _, _, marks = _core(field.annotation, list(field.metadata))
    return any(isinstance(mark, SecretMark) for mark in marks)


def _core(annotation: Any, marks: list[Any]) -> tuple[Any, bool, list[Any]]:
    """The type below Optional and Annotated, and everything said about it on the way."""
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            marks.extend(_flat(more))
        elif origin in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                raise TypeError("a setting has one type, and may be null beside it")
            nullable, annotation = True, members[0]
        else:
            return annotation, nullable, marks


def _flat(marks: Iterable[Any]) -> Iterator[Any]:
    for mark in marks:
        if isinstance(mark, FieldInfo):
            yield from mark.metadata
        else:
            yield mark


def _kind(annotation: Any, marks: list[Any]) -> ConfigType:
    if any(isinstance(mark, SecretMark) for mark in marks):
        return ConfigType.SECRET
    if any(isinstance(mark, PathMark) for mark in marks):
        return ConfigType.PATH
    if get_origin(annotation) is Literal:
        if not all(isinstance(choice, str) for choice in get_args(annotation)):
            raise TypeError("the choices of a setting are texts")
        return ConfigType.ENUM
    if annotation not in _PLAIN:
        raise TypeError(f"a setting cannot be {annotation!r}")
    return _PLAIN[annotation]


def _bound(marks: list[Any], name: str) -> Any:
    """The last word on a bound: what the field says itself outranks its type."""
    found = [value for mark in marks if (value := getattr(mark, name, None)) is not None]
    return found[0] if found else None
