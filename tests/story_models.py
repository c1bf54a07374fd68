"""A data directory with a second model of each kind: copies of the starter models."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SLOWER = 1.6
"""The second voice speaks so much slower than the first, which can be measured."""

EARS, MIND, VOICE = "base-again", "smollm2-again", "joe-slowly"
_COPIES = {EARS: ("base", "stt"), MIND: ("smollm2-135m-instruct", "llm"),
           VOICE: ("en_US-joe-medium", "tts")}  # fmt: skip


def with_second_models(data: Path, models: Path) -> None:
    """Fill ``data/models`` with links to the starter models and a second one of each kind."""
    folder = data / "models"
    folder.mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    overlay: list[str] = []
    for name, (original, kind) in _COPIES.items():
        (folder / original).symlink_to(models / original, target_is_directory=True)
        copy = folder / name
        copy.mkdir()
        files: dict[str, str] = {}
        for path in sorted((models / original).iterdir()):
            target = copy / path.name.replace(original, name)
            if path.name.endswith(".onnx.json"):
                voice = json.loads(path.read_text())
                voice["inference"]["length_scale"] = SLOWER
                target.write_text(json.dumps(voice))
            else:
                target.symlink_to(path)
            digest = hashlib.sha256(target.read_bytes()).hexdigest()
            size = target.stat().st_size
            files[target.name] = (
                f'  {{ path = "{target.name}", size = {size}, sha256 = "{digest}" }},'
            )
        overlay += [
            f"[models.{name}]",
            f'kind = "{kind}"',
            'licence = "MIT"',
            'description = "a copy for a test"',
            "files = [",
            *files.values(),
            "]",
            f"[[models.{name}.sources]]",
            'type = "pypi"',
            f"[models.{name}.sources.packages]",
            'none = "none==1.0.0"',
            f"[models.{name}.sources.files]",
            *(f'"{file}" = ["none/{file}"]' for file in files),
        ]
    (data / "models.toml").write_text("\n".join(overlay) + "\n")
