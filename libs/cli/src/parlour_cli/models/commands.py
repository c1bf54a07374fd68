"""``parlour models list|pull|verify|rm``."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from parlour_kit.models import (
    FileProblem,
    Manifest,
    ModelEntry,
    check_files,
    find_entry,
    load_manifest,
    model_folder,
)

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.errors import NoSpaceError, PullError
from parlour_cli.models.files import disk, remove
from parlour_cli.models.hub import Hub
from parlour_cli.models.output import (
    FAILED,
    USAGE,
    complain,
    in_words,
    print_columns,
    print_json,
)
from parlour_cli.models.progress import PlainProgress, make_progress, megabytes
from parlour_cli.models.pull import PARTIAL, model_lock, partial_folder, pull
from parlour_cli.options import Data, Json, Yes
from parlour_cli.typed import agreed

app = App(name="models", help="List, bring, check and remove models.")


@app.command(name="list")
@in_words
def list_models(*, data: Data = None, as_json: Json = False) -> int:
    """Show every known model and whether it is here (by size; `verify` reads the contents)."""
    data_dir = resolve_data_dir(data)
    manifest = load_manifest(data_dir)
    states = {
        name: _state(check_files(entry, model_folder(data_dir, name), contents=False), entry)
        for name, entry in manifest.models.items()
    }
    order = sorted(manifest.models, key=lambda name: (manifest.models[name].kind, name))
    if as_json:
        print_json([_description(manifest, name, states[name], data_dir) for name in order])
        return 0
    rows = (
        (name, e.kind, states[name], megabytes(e.size), "yes" if e.starter else "", e.licence,
         e.description)
        for name in order
        for e in (manifest.models[name],)
    )  # fmt: skip
    print_columns(("NAME", "KIND", "STATE", "SIZE", "STARTER", "LICENCE", "WHAT IT IS"), rows)
    return 0


@app.command(name="pull")
@in_words
def pull_models(
    *names: str,
    starter: Annotated[bool, Parameter(negative="", help="Bring the starter models.")] = False,
    data: Data = None,
) -> int:
    """Bring models; what is here and intact is left alone, an interrupted pull continues."""
    data_dir = resolve_data_dir(data)
    manifest = load_manifest(data_dir)
    wanted = list(dict.fromkeys((*names, *(_starters(manifest) if starter else ()))))
    if not wanted:
        complain("no model is named", "parlour models pull --starter, or parlour models list")
        return USAGE
    # All names are looked up before the first byte is fetched.
    entries = {name: find_entry(manifest, name, None, data_dir) for name in wanted}
    failed: list[str] = []
    hub = Hub.from_environment()
    with make_progress() as progress:
        for name, entry in entries.items():
            begin = time.monotonic()
            try:
                brought = pull(name, entry, data_dir, progress, hub)
            except NoSpaceError:
                raise
            except PullError as error:
                complain(f"{name}: {error}", error.hint)
                failed.append(name)
                continue
            took = f"brought, {megabytes(entry.size)} in {time.monotonic() - begin:.1f} s"
            progress.say(f"{name}: {took if brought else 'already here'}")
    return FAILED if failed else 0


@app.command(name="verify")
@in_words
def verify_models(*names: str, data: Data = None, as_json: Json = False) -> int:
    """Read the models that are here, or the named ones, and compare them with models.toml."""
    data_dir = resolve_data_dir(data)
    manifest = load_manifest(data_dir)
    for name in names:
        find_entry(manifest, name, None, data_dir)
    wanted = list(dict.fromkeys(names)) or [
        name for name in manifest.names() if model_folder(data_dir, name).exists()
    ]
    problems = {
        name: check_files(manifest.models[name], model_folder(data_dir, name)) for name in wanted
    }
    bad = any(problems.values())
    if as_json:
        findings = [_finding(name, found, data) for name, found in problems.items()]
        print_json({"ok": not bad, "models": findings})
        return FAILED if bad else 0
    for name, found in problems.items():
        print(f"{name}: {_state(found, manifest.models[name]) if found else 'good'}")
        for problem in found:
            print(f"  {problem}")
        if found:
            print(f"  repair it with: {_repair(name, data)}")
    for name in _unlisted(manifest, data_dir):
        print(f"{name}: not in models.toml, so not checked and not used", file=sys.stderr)
    if not problems:
        print(f"no model is in {data_dir}")
    return FAILED if bad else 0


@app.command(name="rm")
@in_words
def remove_models(
    *names: str,
    yes: Yes = False,
    data: Data = None,
) -> int:
    """Remove models from the disk, with what is left of an interrupted pull."""
    data_dir = resolve_data_dir(data)
    manifest = load_manifest(data_dir)
    if not names:
        complain("no model is named", "parlour models list")
        return USAGE
    for name in names:
        find_entry(manifest, name, None, data_dir)
    for name in dict.fromkeys(names):
        folder, partial = model_folder(data_dir, name), partial_folder(data_dir, name)
        if not folder.exists() and not folder.is_symlink() and not partial.exists():
            print(f"{name}: not here, nothing to remove")
            continue
        if not yes and not agreed(f"Remove {name} ({folder})?"):
            complain(f"{name} was not removed", "answer y, or add --yes")
            return FAILED
        with model_lock(data_dir, name, PlainProgress()), disk(folder):
            if folder.exists() or folder.is_symlink():
                # Out of sight in one step: a worker never finds half a model.
                partial.mkdir(parents=True, exist_ok=True)
                remove(partial / "removed")
                folder.rename(partial / "removed")
            remove(partial)
        print(f"{name}: removed")
    return 0


def _starters(manifest: Manifest) -> list[str]:
    return [name for name, entry in manifest.models.items() if entry.starter]


def _unlisted(manifest: Manifest, data_dir: Path) -> list[str]:
    folder = data_dir / "models"
    if not folder.is_dir():
        return []
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    return sorted(found - set(manifest.models) - {PARTIAL})


def _state(problems: list[FileProblem], entry: ModelEntry) -> str:
    if not problems:
        return "here"
    if any(problem.kind != "missing" for problem in problems):
        return "damaged"
    return "missing" if len(problems) == len(entry.files) else "incomplete"


def _repair(name: str, data: Path | None) -> str:
    where = f" --data {shlex.quote(str(data))}" if data is not None else ""
    return f"parlour models pull {name}{where}"


def _finding(name: str, problems: list[FileProblem], data: Path | None) -> dict[str, object]:
    return {
        "name": name,
        "ok": not problems,
        "problems": [{"file": p.path, "problem": p.kind, "detail": p.detail} for p in problems],
        "repair": _repair(name, data) if problems else None,
    }


def _description(manifest: Manifest, name: str, state: str, data_dir: Path) -> dict[str, object]:
    entry = manifest.models[name]
    return {
        "name": name,
        "kind": entry.kind,
        "state": state,
        "starter": entry.starter,
        "size": entry.size,
        "licence": entry.licence,
        "description": entry.description,
        "path": str(model_folder(data_dir, name)),
        "sources": [source.type for source in entry.sources],
    }
