"""Starts of a service with damaged files: it always starts, and never on unverified settings."""

# ruff: noqa: INP001  # beside a script

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fuzz_readers import ABOVE, CONFIG, FLOOR, NOW, OTHER, SERVICE, SIGNER, TRUSTED, Target
from parlour_config.canonical import canonical
from parlour_config.keyset import build_keyset, listed, read_keyset, reset_floor, sign_keyset
from parlour_config.lkg_store import LkgStore
from parlour_config.signing import SigningKey
from parlour_config.trust import TrustState
from parlour_config.update import build_update, read_update

MAC = bytes(range(32))
ROOT = SigningKey(bytes([3]) * 32)
FILES = {"boot-lkg": "lkg", "boot-keyset": "keyset", "boot-marker": "applying"}


@contextmanager
def boots() -> Iterator[dict[str, Target]]:
    """The targets, one for each of the files; their folder goes at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genuine = folder / "genuine"
        _fill(genuine)
        yield {target: _target(genuine, folder / target, file) for target, file in FILES.items()}


def _fill(folder: Path) -> None:
    """What a service leaves that was stopped while it applied something."""
    store = LkgStore(folder, SERVICE, lambda: [MAC])
    body = build_keyset(
        version=1, roots=[ROOT.public], threshold=1, config_keys=[listed(SIGNER.public)]
    )
    keyset = read_keyset(sign_keyset(body, [ROOT]))
    store.save_keyset(keyset.raw)
    for config, issued in ((CONFIG, FLOOR), (OTHER, ABOVE)):
        update = read_update(
            build_update(SIGNER, service=SERVICE, config=config, config_epoch=NOW, issued_at=issued)
        )
        state = TrustState(epoch=NOW, floor=issued, floor_kid=SIGNER.kid, checksum=update.checksum)
        store.save(update, reset_floor(state, keyset))
    store.begin_apply(update)
    store.begin_apply(update)


def _target(genuine: Path, folder: Path, file: str) -> Target:
    """A start with one of the files replaced; its content is the settings that are started with."""
    damaged = f"{SERVICE}.{file}.json"

    def read(data: bytes) -> bytes:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(genuine, folder)
        (folder / damaged).write_bytes(data)
        found = LkgStore(folder, SERVICE, lambda: [MAC]).restore(TRUSTED)
        LkgStore(folder, SERVICE, lambda: [MAC]).restore(TRUSTED)  # what is left must start again
        return b"defaults" if found.lkg is None else canonical(found.lkg.payload)

    settings = {canonical({SERVICE: config}) for config in (CONFIG, OTHER)}
    whole = (genuine / damaged).read_bytes()
    others = [path.read_bytes() for path in genuine.iterdir() if path.name != damaged]
    return Target([whole] * 6 + others, read, frozenset({*settings, b"defaults"}))
