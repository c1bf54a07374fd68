"""The settings that a first start begins with: the starter models where the default ones are
not here, and what files of settings say.

config-manager takes them for services that it has no settings of; each is in its history with
its reason. Nothing is swapped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parlour_contracts.config import CONFIGS
from parlour_contracts.config.metadata import bare_key
from parlour_contracts.config.validation import validate_config
from parlour_contracts.messages.requests import Problem
from parlour_kit.models import Manifest, check_files, load_manifest, model_folder

from parlour_cli.broker.errors import DataDirError, SettingsError
from parlour_cli.broker.files import write_private

MAX_BYTES = 262_144

MODEL_SETTINGS: dict[str, tuple[str, str]] = {
    "stt-worker": ("whisper_model", "stt"),
    "llm-worker": ("model", "llm"),
    "tts-worker": ("piper_voice", "tts"),
}
"""Service → the setting that names its model, and the model's kind."""


@dataclass(frozen=True)
class Seed:
    """A setting that differs from its default, and why."""

    service: str
    setting: str
    value: str
    default: str

    def __str__(self) -> str:
        return (
            f"{self.service}: using starter model {self.value} for {self.setting} "
            f"because {self.default} is not installed"
        )


def choose_seeds(
    starters: dict[str, str], installed: Callable[[str], bool], services: list[str]
) -> list[Seed]:
    """What to seed.

    Args:
        starters: kind → name of its starter model.
        installed: whether a model is here.
        services: those without settings of their own yet.
    """
    seeds: list[Seed] = []
    for service in services:
        setting, kind = MODEL_SETTINGS[service]
        default = str(CONFIGS[service].model_fields[setting].default)
        starter = starters.get(kind)
        if starter and starter != default and not installed(default) and installed(starter):
            seeds.append(Seed(service, setting, starter, default))
    return seeds


def starters_of(manifest: Manifest) -> dict[str, str]:
    """Kind → name of its starter model."""
    return {entry.kind: name for name, entry in manifest.models.items() if entry.starter}


def is_installed(manifest: Manifest, data_dir: Path, name: str) -> bool:
    """Whether a listed model is here with all its files (by size)."""
    entry = manifest.models.get(name)
    return entry is not None and not check_files(
        entry, model_folder(data_dir, name), contents=False
    )


def write_seeds(data_dir: Path) -> list[str]:
    """Write the file that config-manager begins with, as long as it has no database.

    Returns:
        What was chosen, for people.

    Raises:
        ManifestError: a models.toml is wrong.
        DataDirError: it cannot be written, or a file of settings cannot be read.
        SettingsError: a file of settings says what its service does not take.
    """
    if database(data_dir).exists():
        return []
    given = {name: found for name in CONFIGS if (found := _given(data_dir, name)) is not None}
    manifest = load_manifest(data_dir)
    fresh = [s for s, (setting, _) in MODEL_SETTINGS.items() if setting not in given.get(s, {})]
    seeds = choose_seeds(
        starters_of(manifest), lambda name: is_installed(manifest, data_dir, name), fresh
    )
    chosen: dict[str, dict[str, object]] = {
        name: {"settings": settings, "reason": f"taken from config/{name}.json"}
        for name, settings in given.items()
    }
    for seed in seeds:
        entry = chosen.setdefault(seed.service, {"settings": {}, "reason": str(seed)})
        entry["settings"] = {**given.get(seed.service, {}), seed.setting: seed.value}
        if seed.service in given:
            entry["reason"] = f"taken from config/{seed.service}.json; {seed}"
    write_private(seed_file(data_dir), json.dumps(chosen, indent=2) + "\n")
    return [str(entry["reason"]) for entry in chosen.values()]


def seed_file(data_dir: Path) -> Path:
    """What config-manager begins with: service → ``settings`` and ``reason``."""
    return data_dir / "config-seed.json"


def database(data_dir: Path) -> Path:
    """config-manager's database."""
    return data_dir / "config-manager" / "config.db"


def settings_file(data_dir: Path, service: str) -> Path:
    """A file that a person may write before the first start, to begin with its settings."""
    return data_dir / "config" / f"{service}.json"


def _given(data_dir: Path, service: str) -> dict[str, object] | None:
    path = settings_file(data_dir, service)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataDirError(f"{path} is larger than {MAX_BYTES} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise DataDirError(
            f"{path} is no JSON that can be read", hint="mend or remove it"
        ) from None
    if not isinstance(found, dict):
        raise DataDirError(f"{path} holds no object", hint="mend or remove it")
    settings = {bare_key(service, key): value for key, value in found.items()}
    _, problems = validate_config(service, settings)
    if problems:
        told = "; ".join(_told(problem) for problem in problems[:5])
        raise SettingsError(f"{path}: {told}", hint="mend or remove it")
    return settings


def _told(problem: Problem) -> str:
    allowed = f" (allowed: {problem.allowed})" if problem.allowed else ""
    return f"{problem.key} {problem.problem}{allowed}".strip()


def missing_kinds(data_dir: Path) -> list[str]:
    """Kinds of work for which no listed model at all is here."""
    manifest = load_manifest(data_dir)
    kinds = {kind for _, kind in MODEL_SETTINGS.values()}
    here = {e.kind for n, e in manifest.models.items() if is_installed(manifest, data_dir, n)}
    return sorted(kinds - here)
