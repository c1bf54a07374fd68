"""The vectors of keysets, leases, last-known-good files and secrets: made and read byte for byte."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from parlour_config.canonical import load
from parlour_config.errors import SignedConfigError
from parlour_config.keyset import accept_keyset, read_keyset
from parlour_config.lease import read_lease
from parlour_config.lkg import read_lkg
from parlour_config.sealing import (
    from_row,
    lkg_key,
    mask_key,
    mask_tag,
    open_sealed,
    service_key,
    symmetric_id,
)
from parlour_config.signing import TrustedKey
from parlour_config.trust import TrustedSet

VECTORS = Path(__file__).with_name("vectors")
INDEX: dict[str, Any] = json.loads((VECTORS / "index.json").read_text())
ROWS: list[dict[str, Any]] = INDEX["vectors"]


def maker() -> Any:
    path = Path(__file__).parents[1] / "tools" / "vectors.py"
    spec = importlib.util.spec_from_file_location("signed_config_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(row: dict[str, Any], name: str = "keys") -> list[TrustedKey]:
    return [TrustedKey.of(bytes.fromhex(text)) for text in row[name]]


def read(row: dict[str, Any]) -> None:
    """Read a vector as its receiver would."""
    data = (VECTORS / row["file"]).read_bytes()
    match row["kind"]:
        case "update":
            TrustedSet(row["service"], keys(row)).verify(data, row["topic"])
        case "keyset":
            after = row["after"] and read_keyset((VECTORS / row["after"]).read_bytes())
            accept_keyset(after, read_keyset(data), keys(row, "roots"), row["threshold"])
        case "lease":
            read_lease(data, keys(row))
        case "lkg":
            holder = row["service"] or "config-manager"
            macs = [lkg_key(bytes.fromhex(text), holder) for text in row["hmac"]]
            read_lkg(data, macs, service=row["service"], trusted=keys(row))
        case "secret":
            master = bytes.fromhex(row["master"])
            held = {INDEX["sealing"]["kid"]: service_key(master, row["service"])}
            opened = open_sealed(load(data), held, service=row["service"], name=row["name"])
            assert opened == row["value"]


@pytest.mark.req("C033", "C034", "C070")
def test_the_library_makes_every_vector_byte_for_byte() -> None:
    made = maker().make()

    assert len(made) >= 12
    for name, data in made.items():
        assert data == (VECTORS / name).read_bytes(), name


@pytest.mark.req("C034", "C035")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['file']}-{row['result']}")
def test_every_vector_is_taken_or_refused_for_the_one_reason(row: dict[str, Any]) -> None:
    if row["result"] == "OK":
        read(row)
        return
    with pytest.raises(SignedConfigError) as refused:
        read(row)
    assert refused.value.code == row["result"]


@pytest.mark.req("C045")
def test_derived_keys_tags_and_rows_are_those_of_the_vectors() -> None:
    given = INDEX["sealing"]
    master = bytes.fromhex(given["master"])

    assert symmetric_id(master) == given["kid"]
    assert service_key(master, given["service"]).hex() == given["service_key"]
    assert lkg_key(bytes.fromhex(given["hmac"]), "stt-worker").hex() == given["lkg_key"]
    assert mask_key(master).hex() == given["mask_key"]
    tag = mask_tag(given["value"], mask_key(master), service=given["service"], name=given["name"])
    assert tag == given["mask_tag"]
    secret = load((VECTORS / "secret-1.json").read_bytes())
    assert from_row(given["row"], given["kid"]) == secret
