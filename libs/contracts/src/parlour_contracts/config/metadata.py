"""What is known of every setting: from the models alone, so that no list can fall behind."""

from __future__ import annotations

from functools import lru_cache

from pydantic.fields import FieldInfo

from parlour_contracts.config.annotations import Shape, shape_of
from parlour_contracts.config.fields import Apply, ServiceConfigModel
from parlour_contracts.config.registry import CONFIGS
from parlour_contracts.messages.configuration import (
    ConfigComplexity,
    ConfigFieldMetadata,
    ConfigType,
)


def prefix_of(service: str) -> str:
    """What a service's keys begin with among those of all services: ``stt`` of ``stt-worker``."""
    return service.removesuffix("-worker").replace("-", "_")


def full_key(service: str, key: str) -> str:
    """A key as it reads among those of all services: ``stt.whisper_model`` (X6)."""
    return f"{prefix_of(service)}.{key}"


def bare_key(service: str, key: str) -> str:
    """A key as it stands in the configuration of its service; both forms are taken."""
    return key.removeprefix(f"{prefix_of(service)}.")


def type_of(field: FieldInfo) -> ConfigType:
    """The kind of a field's value (C003).

    Raises:
        TypeError: a setting cannot have this type.
    """
    return shape_of(field).type


def apply_of(field: FieldInfo) -> Apply:
    """Whether a change is ``live`` or needs the engine to be loaded again (C085)."""
    return "reload" if _extra(field).get("apply") == "reload" else "live"


def needs_reload(old: ServiceConfigModel, new: ServiceConfigModel) -> bool:
    """Whether a change from one to the other needs an engine to be loaded (C085)."""
    return any(
        apply_of(field) == "reload" and getattr(old, key) != getattr(new, key)
        for key, field in type(new).model_fields.items()
    )


@lru_cache(maxsize=256)
def fields_of(
    service: str, model: type[ServiceConfigModel] | None = None
) -> tuple[ConfigFieldMetadata, ...]:
    """All settings of a service, in the order of their model (C005).

    Args:
        service: its name.
        model: its settings model; the registered one when left out.

    Raises:
        KeyError: no such service.
        TypeError: the model has a field of a type that a setting cannot have.
    """
    model = model or CONFIGS[service]
    return tuple(_metadata(service, key, field) for key, field in model.model_fields.items())


@lru_cache(maxsize=256)
def secret_keys(service: str, model: type[ServiceConfigModel] | None = None) -> frozenset[str]:
    """The bare keys whose values are secrets.

    Raises:
        KeyError: no such service.
    """
    model = model or CONFIGS[service]
    fields = model.model_fields.items()
    return frozenset(key for key, field in fields if type_of(field) is ConfigType.SECRET)


def allowed_of(field: FieldInfo) -> str | None:
    """What a field takes, in words; None when its type says everything."""
    return allowed_text(shape_of(field))


def allowed_text(shape: Shape) -> str | None:
    """What a shape takes, in words, such as ``0 to 1000``."""
    texts = [text for text in (_range(shape), _length(shape)) if text]
    if shape.type is ConfigType.BOOLEAN:
        texts.append("true or false")
    if shape.allowed is not None:
        texts.append(", ".join(shape.allowed))
    if shape.pattern is not None:
        texts.append(f"text that matches {shape.pattern}")
    if texts and shape.nullable:
        texts.append("or null")
    return ", ".join(texts) or None


def _range(shape: Shape) -> str | None:
    low, high = shape.minimum, shape.maximum
    if low is None and high is None:
        return None
    if low is None:
        return f"at most {high}"
    start = f"more than {low}" if shape.above else f"{low}"
    if high is None:
        return start if shape.above else f"{low} or more"
    return f"{start}, at most {high}" if shape.above else f"{low} to {high}"


def _length(shape: Shape) -> str | None:
    low, high = shape.shortest, shape.longest
    if low and high:
        return f"{low} to {high} characters"
    if high:
        return f"at most {high} characters"
    return f"at least {low} characters" if low else None


def _metadata(service: str, key: str, field: FieldInfo) -> ConfigFieldMetadata:
    shape = shape_of(field)
    extra = _extra(field)
    secret = shape.type is ConfigType.SECRET
    return ConfigFieldMetadata(
        key=full_key(service, key),
        service=service,
        type=shape.type,
        complexity=ConfigComplexity(str(extra.get("complexity", "simple"))),
        description=field.description or field.title or key,
        help_text=str(extra.get("help_text", "")),
        is_secret=secret,
        validation_min=shape.minimum,
        validation_max=shape.maximum,
        validation_pattern=shape.pattern,
        validation_allowed=None if shape.allowed is None else list(shape.allowed),
    )


def _extra(field: FieldInfo) -> dict[str, object]:
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}
