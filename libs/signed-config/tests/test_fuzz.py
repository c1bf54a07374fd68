"""Mutated bytes: refused with a code, or taken because they say exactly the same."""

from __future__ import annotations

import fuzz
import pytest
from fuzz_boot import FILES, boots


@pytest.mark.req("C034", "C035", "SC037", "SC038")
def test_no_mutated_update_is_taken_with_another_content() -> None:
    report = fuzz.run(fuzz.targets()["update"], 10_000, 20_251_017)

    assert report.failures == []
    assert report.codes["accepted"] > 100  # other spellings of the same content
    assert (
        len(report.codes) >= 18
    )  # every rule of the verifier but the size was the first to say no


@pytest.mark.parametrize("reader", ["keyset", "lease", "lkg"])
@pytest.mark.req("C035", "C070")
def test_no_other_mutated_document_is_taken_with_another_content(reader: str) -> None:
    report = fuzz.run(fuzz.targets()[reader], 1_500, 20_251_017)

    assert report.failures == []
    assert report.codes["accepted"] > 10


def test_the_fuzzer_finds_a_reader_that_looks_away() -> None:
    target = fuzz.targets()["update"]
    careless = fuzz.Target(target.documents, lambda data: data, target.allowed)
    fragile = fuzz.Target(target.documents, lambda data: data.decode().encode(), target.allowed)

    assert fuzz.run(careless, 50, 1).codes["ACCEPTED_DIFFERENT"]
    assert fuzz.run(fragile, 200, 1).codes["CRASH"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.req("C070", "C072")
def test_a_service_with_damaged_files_starts_on_verified_settings_or_defaults(name: str) -> None:
    with boots() as starts:
        report = fuzz.run(starts[name], 60, 20_251_017)

    assert report.failures == []
    assert report.codes == {"accepted": 60}
