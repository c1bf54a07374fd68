"""A server's key comes from a secret file, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from llm_worker.engines.openai_http import KeyFileError, read_key


def test_blanks_around_a_key_do_not_belong_to_it(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text(" sk-0123456789\n")

    assert read_key(file) == "sk-0123456789"


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words here", b"x" * 5000, b"\xc3\xa9" * 9]
)
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, content: bytes):
    file = tmp_path / "key"
    file.write_bytes(content)

    with pytest.raises(KeyFileError) as caught:
        read_key(file)

    assert "words" not in str(caught.value)
    assert caught.value.wire().code == "LLM_KEY_FILE"


def test_a_missing_key_file_is_refused(tmp_path: Path):
    with pytest.raises(KeyFileError):
        read_key(tmp_path / "absent")
