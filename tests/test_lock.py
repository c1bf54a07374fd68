"""Whoever runs Parlour on a 64-bit Arm machine compiles nothing but llama.cpp."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILED = {"llama-cpp-python"}
PYTHONS = ((3, 11), (3, 12), (3, 13))
GLIBC = (2, 36)
"""Of Debian 12 and Raspberry Pi OS Bookworm."""

_WHEEL = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$")


def packages() -> list[dict[str, Any]]:
    found = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert isinstance(found, list)
    return found


def fits_platform(tag: str, machine: str) -> bool:
    """Whether a machine with this processor and C library takes the wheel."""
    for part in tag.split("."):
        if part == "any":
            return True
        modern = re.fullmatch(rf"manylinux_(\d+)_(\d+)_{machine}", part)
        if modern and (int(modern[1]), int(modern[2])) <= GLIBC:
            return True
        if part in (f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"linux_{machine}"):
            return True
    return False


def fits_python(python: str, abi: str, version: tuple[int, int]) -> bool:
    """Whether a CPython of this version takes the wheel."""
    current = f"cp{version[0]}{version[1]}"
    for tag in python.split("."):
        if tag in ("py3", f"py{version[0]}{version[1]}") and abi in ("none", "abi3"):
            return True
        if tag == current and current in abi.split("."):
            return True
        older = re.fullmatch(r"cp3(\d+)", tag)
        if older and int(older[1]) <= version[1] and abi in {"abi3", "none"}:
            return True
    return False


def has_wheel(package: dict[str, Any], version: tuple[int, int], machine: str) -> bool:
    for wheel in package.get("wheels", []):
        name = _WHEEL.search(wheel["url"].rpartition("/")[2])
        assert name is not None, wheel["url"]
        if fits_platform(name["platform"], machine) and fits_python(
            name["python"], name["abi"], version
        ):
            return True
    return False


def without_wheels(machine: str, version: tuple[int, int]) -> set[str]:
    """Names of which no locked version has a wheel; a version may be for one Python alone."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for package in packages():
        if "registry" in package["source"]:
            by_name.setdefault(package["name"], []).append(package)
    return {
        name
        for name, found in by_name.items()
        if not any(has_wheel(package, version, machine) for package in found)
    }


@pytest.mark.parametrize("version", PYTHONS, ids=lambda v: f"{v[0]}.{v[1]}")
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_dependency_but_llama_cpp_has_a_wheel_in_the_lock(
    machine: str, version: tuple[int, int]
) -> None:
    assert without_wheels(machine, version) == COMPILED


@pytest.mark.parametrize(
    ("python", "abi", "platform", "fits"),
    [
        ("py3", "none", "any", True),
        ("cp311", "cp311", "manylinux_2_28_aarch64", True),
        ("cp311", "cp311", "manylinux_2_17_aarch64.manylinux2014_aarch64", True),
        ("cp38", "abi3", "manylinux_2_34_aarch64", True),
        ("cp311", "cp311", "manylinux_2_39_aarch64", False),
        ("cp311", "cp311", "musllinux_1_2_aarch64", False),
        ("cp311", "cp311", "manylinux_2_28_x86_64", False),
        ("cp312", "cp312", "manylinux_2_28_aarch64", False),
        ("cp312", "abi3", "manylinux_2_28_aarch64", False),
        ("cp311", "cp311", "macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_is_taken_where_pip_would_take_it(
    python: str, abi: str, platform: str, fits: bool
) -> None:
    taken = fits_platform(platform, "aarch64") and fits_python(python, abi, (3, 11))

    assert taken is fits
