"""Make the golden vectors of keysets, leases, last-known-good files and secrets.

They hold what the library does to bytes that other readers must understand, so a change of any
is a change of the protocol. ``python libs/signed-config/tools/vectors.py`` writes them anew; the
tests only compare. All keys in here are public knowledge.
"""

# ruff: noqa: INP001  # a script beside the package

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from parlour_config.canonical import canonical, load
from parlour_config.keyset import build_keyset, listed, sign_keyset
from parlour_config.lease import build_lease
from parlour_config.lkg import render_lkg
from parlour_config.pae import CONFIG_UPDATE, KEYSET
from parlour_config.sealing import (
    lkg_key,
    mask_key,
    mask_tag,
    seal,
    service_key,
    symmetric_id,
    to_row,
)
from parlour_config.signing import SigningKey
from parlour_config.trust import TrustState
from parlour_config.update import build_update

FOLDER = Path(__file__).parents[1] / "tests" / "vectors"
INDEX = "index.json"

CONFIG = SigningKey(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
NEXT = SigningKey(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
ROOT_A, ROOT_B, ROOT_C = (SigningKey(bytes([n]) * 32) for n in (0xA1, 0xB2, 0xC3))
MASTER = bytes(range(32))
HMAC = bytes(range(32, 64))
SERVICE = "stt-worker"
SECRET_SERVICE, SECRET_NAME = "llm-worker", "api_key"
SECRET_VALUE = "sk-test-only-é😀"  # noqa: S105  # public knowledge, as all of this file
EPOCH = "550e8400-e29b-41d4-a716-446655440000"
OLD_EPOCH = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
ISSUED = "2025-10-17T12:00:00.000000Z"
LATER = "2025-10-17T12:00:00.000001Z"


def make() -> dict[str, bytes]:
    """File name → bytes, the index included."""
    g1 = (FOLDER / "g1.wire.json").read_bytes()
    secret = _secret()
    files = {**_keysets(), **_leases(), **_lkgs(g1), "secret-1.json": canonical(secret)}
    files["g3.wire.json"] = build_update(
        CONFIG,
        service=SECRET_SERVICE,
        config={"api_key": secret, "temperature": 0.7},
        config_epoch=EPOCH,
        issued_at=LATER,
    )
    published = {path.name: path.read_bytes() for path in FOLDER.glob("[gn]?*.wire.json")}
    index = {
        "note": "test keys, known to everybody",
        "sealing": _sealing(secret),
        "vectors": _index(published | files),
    }
    files[INDEX] = (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def _keysets() -> dict[str, bytes]:
    active, following = listed(CONFIG.public), listed(NEXT.public)
    retiring = listed(CONFIG.public, "retiring", "2026-01-08T00:00:00.000000Z")
    first = build_keyset(version=1, roots=[ROOT_A.public], threshold=1, config_keys=[active])
    two = [ROOT_B.public, ROOT_C.public]
    second = build_keyset(version=2, roots=two, threshold=2, config_keys=[retiring, following])
    third = build_keyset(
        version=3,
        roots=two,
        threshold=2,
        config_keys=[following],
        revoked=[CONFIG.kid],
        reset_floor_for=[CONFIG.kid],
    )
    signed = canonical(second)
    swapped = {**first, "config_keys": [{**active, "kid": NEXT.kid}]}
    wrong_kind = [{"kid": ROOT_A.kid, "sig": ROOT_A.sign(CONFIG_UPDATE, canonical(first))}]
    return {
        "keyset-1.json": sign_keyset(first, [ROOT_A]),
        "keyset-2.json": sign_keyset(second, [ROOT_A, ROOT_B, ROOT_C]),
        "keyset-3.json": sign_keyset(third, [ROOT_B, ROOT_C]),
        "keyset-n1-one-root-twice.json": canonical(
            {
                **second,
                "signatures": [
                    {
                        "kid": key.kid,
                        "sig": key.sign(KEYSET, signed),
                    }
                    for key in (ROOT_A, ROOT_B, ROOT_B)
                ],
            }
        ),
        "keyset-n2-kid-of-another.json": _resigned(swapped, ROOT_A),
        "keyset-n3-signed-as-update.json": canonical({**first, "signatures": wrong_kind}),
    }


def _resigned(body: dict[str, Any], key: SigningKey) -> bytes:
    signature = key.sign(KEYSET, canonical(body))
    return canonical({**body, "signatures": [{"kid": key.kid, "sig": signature}]})


def _leases() -> dict[str, bytes]:
    lease = build_lease(
        CONFIG,
        instance="config-manager",
        config_epoch=EPOCH,
        boot_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        lease_seq=7,
        sent_at=ISSUED,
    )
    message = load(lease)
    assert isinstance(message, dict)
    body = {name: value for name, value in message.items() if name != "signature"}
    wrong = {**body, "signature": CONFIG.sign(CONFIG_UPDATE, canonical(body))}
    return {"lease-1.json": lease, "lease-n1-signed-as-update.json": canonical(wrong)}


def _lkgs(g1: bytes) -> dict[str, bytes]:
    message: Any = load(g1)
    state = TrustState(
        epoch=EPOCH,
        floor=LATER,
        floor_kid=CONFIG.kid,
        retired=(OLD_EPOCH,),
        keyset_version=2,
        poison=("0" * 64,),
        checksum=message["checksum"],
    )
    key = lkg_key(HMAC, SERVICE)

    def service(config: dict[str, Any]) -> bytes:
        return render_lkg(
            payload={SERVICE: config},
            config_epoch=EPOCH,
            generated_at=ISSUED,
            update=g1,
            state=state,
            key=key,
        )

    good = service(message["config"])
    return {
        "lkg-1.json": good,
        "lkg-2-manager.json": render_lkg(
            payload={SERVICE: message["config"], "router": {"router_stream_min_chars": 30}},
            config_epoch=EPOCH,
            generated_at=LATER,
            update=None,
            state=None,
            key=lkg_key(HMAC, "config-manager"),
        ),
        "lkg-n1-stolen-key.json": service({**message["config"], "vad_threshold": 0.9}),
        "lkg-n2-floor-changed.json": good.replace(LATER.encode(), ISSUED.encode()),
    }


def _secret() -> dict[str, Any]:
    return seal(
        SECRET_VALUE,
        service_key(MASTER, SECRET_SERVICE),
        service=SECRET_SERVICE,
        name=SECRET_NAME,
        kid=symmetric_id(MASTER),
        random=lambda count: bytes(range(0x40, 0x40 + count)),
    )


def _sealing(secret: dict[str, Any]) -> dict[str, Any]:
    return {
        "master": MASTER.hex(),
        "kid": symmetric_id(MASTER),
        "service": SECRET_SERVICE,
        "name": SECRET_NAME,
        "value": SECRET_VALUE,
        "service_key": service_key(MASTER, SECRET_SERVICE).hex(),
        "mask_key": mask_key(MASTER).hex(),
        "mask_tag": mask_tag(
            SECRET_VALUE, mask_key(MASTER), service=SECRET_SERVICE, name=SECRET_NAME
        ),
        "row": to_row(secret),
        "hmac": HMAC.hex(),
        "lkg_key": lkg_key(HMAC, SERVICE).hex(),
    }


def _index(files: dict[str, bytes]) -> list[dict[str, Any]]:
    update = {"kind": "update", "keys": [CONFIG.public.hex()]}
    here = update | {"topic": f"system/config/{SERVICE}", "service": SERVICE}
    router = update | {"topic": "system/config/router", "service": "router"}
    secret_here = update | {
        "topic": f"system/config/{SECRET_SERVICE}",
        "service": SECRET_SERVICE,
    }
    roots = {"kind": "keyset", "roots": [ROOT_A.public.hex()], "threshold": 1}
    lease = {"kind": "lease", "keys": [CONFIG.public.hex()]}
    lkg = {
        "kind": "lkg",
        "hmac": [HMAC.hex()],
        "service": SERVICE,
        "keys": [CONFIG.public.hex()],
    }
    secret = {"kind": "secret", "master": MASTER.hex(), "service": SECRET_SERVICE}
    rows: list[tuple[str, dict[str, Any], str]] = [
        ("g1.wire.json", here, "OK"),
        ("g2.wire.json", router, "OK"),
        ("g3.wire.json", secret_here, "OK"),
        ("n1-duplicate-key.wire.json", here, "DUPLICATE_KEY"),
        ("n2-nan.wire.json", here, "NON_FINITE"),
        ("n3-number-range.wire.json", here, "NUMBER_RANGE"),
        ("n4-base64-bits.wire.json", here, "BAD_ENCODING"),
        ("n5-wrong-service.wire.json", here, "WRONG_SERVICE"),
        ("keyset-1.json", roots | {"after": None}, "OK"),
        ("keyset-2.json", roots | {"after": "keyset-1.json"}, "OK"),
        ("keyset-3.json", roots | {"after": "keyset-2.json"}, "OK"),
        ("keyset-1.json", roots | {"after": "keyset-2.json"}, "KEYSET_OLD"),
        ("keyset-3.json", roots | {"after": "keyset-1.json"}, "KEYSET_GAP"),
        ("keyset-3.json", roots | {"after": None}, "KEYSET_THRESHOLD"),
        ("keyset-n1-one-root-twice.json", roots | {"after": "keyset-1.json"}, "KEYSET_THRESHOLD"),
        ("keyset-n2-kid-of-another.json", roots | {"after": None}, "KID_MISMATCH"),
        ("keyset-n3-signed-as-update.json", roots | {"after": None}, "KEYSET_THRESHOLD"),
        ("lease-1.json", lease, "OK"),
        ("lease-n1-signed-as-update.json", lease, "BAD_SIGNATURE"),
        ("lkg-1.json", lkg, "OK"),
        ("lkg-1.json", lkg | {"hmac": [bytes(32).hex(), HMAC.hex()]}, "OK"),
        ("lkg-1.json", lkg | {"service": "router"}, "LKG_BAD"),
        ("lkg-1.json", lkg | {"keys": [NEXT.public.hex()]}, "LKG_BAD"),
        ("lkg-2-manager.json", lkg | {"service": None, "keys": []}, "OK"),
        ("lkg-n1-stolen-key.json", lkg, "LKG_BAD"),
        ("lkg-n2-floor-changed.json", lkg, "LKG_BAD"),
        ("secret-1.json", secret | {"name": SECRET_NAME, "value": SECRET_VALUE}, "OK"),
        ("secret-1.json", secret | {"name": "other_key"}, "SECRET_UNREADABLE"),
        (
            "secret-1.json",
            secret | {"name": SECRET_NAME, "service": SERVICE},
            "SECRET_UNREADABLE",
        ),
        (
            "secret-1.json",
            secret | {"name": SECRET_NAME, "master": HMAC.hex()},
            "SECRET_UNREADABLE",
        ),
    ]
    return [
        {
            "file": name,
            "bytes": len(files[name]),
            "sha256": hashlib.sha256(files[name]).hexdigest(),
            **inputs,
            "result": result,
        }
        for name, inputs, result in rows
    ]


def main() -> None:
    """Write the files."""
    for name, data in make().items():
        (FOLDER / name).write_bytes(data)
        sys.stdout.write(f"{len(data):6} {name}\n")


if __name__ == "__main__":
    main()
