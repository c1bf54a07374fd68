"""The settings of a first start: the starter models where the default ones are not here.

Nothing is swapped in silence: each choice is told with its reason, and lies in a file that is
never overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parlour_contracts.config import CONFIGS
from parlour_kit.models import Manifest, check_files, load_manifest, model_folder

from parlour_cli.broker.files import make_private_dir, write_private

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


def write_seeds(data_dir: Path, file_of: Callable[[Path, str], Path]) -> list[Seed]:
    """Write the settings of those services that have none yet.

    Args:
        data_dir: the data directory.
        file_of: where a service's settings lie.

    Returns:
        What was written.

    Raises:
        ManifestError: a models.toml is wrong.
        DataDirError: it cannot be written.
    """
    manifest = load_manifest(data_dir)
    fresh = [s for s in MODEL_SETTINGS if not file_of(data_dir, s).exists()]
    seeds = choose_seeds(
        starters_of(manifest), lambda name: is_installed(manifest, data_dir, name), fresh
    )
    for seed in seeds:
        path = file_of(data_dir, seed.service)
        make_private_dir(path.parent)
        write_private(path, json.dumps({seed.setting: seed.value}, indent=2) + "\n")
    return seeds


def missing_kinds(data_dir: Path) -> list[str]:
    """Kinds of work for which no listed model at all is here."""
    manifest = load_manifest(data_dir)
    kinds = {kind for _, kind in MODEL_SETTINGS.values()}
    here = {e.kind for n, e in manifest.models.items() if is_installed(manifest, data_dir, n)}
    return sorted(kinds - here)
