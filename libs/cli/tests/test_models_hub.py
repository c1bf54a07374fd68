"""Unit: a model comes from a hub whole, or it does not come; over real HTTP on loopback."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parlour_cli.models.errors import (
    NetworkError,
    NoSpaceError,
    PullError,
    SourceError,
    WrongContentError,
)
from parlour_cli.models.hub import TRIES, Hub
from parlour_cli.models.progress import PlainProgress
from parlour_cli.models.pull import pull
from parlour_kit.backoff import Backoff
from parlour_kit.models import check_files, load_manifest
from parlour_testkit.model_hub import REVISION, ModelHub, hub_source, models_toml

WEIGHTS = random.Random(2).randbytes(1_500_000)
FILES = {"model.bin": WEIGHTS, "sub/config.json": b'{"a": 1}'}
COMMAND = "from parlour_cli.models import app; app()"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, with a blank in its path, whose models.toml lists the model."""
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "models.toml").write_text(models_toml("mine", FILES, hub_source("mine")))
    return folder


def bring(data: Path, hub: ModelHub | str, sleeps: list[float] | None = None) -> bool:
    entry = load_manifest(data).models["mine"]
    endpoint = hub if isinstance(hub, str) else hub.endpoint
    slept = sleeps if sleeps is not None else []
    client = Hub(endpoint, 5.0, slept.append, lambda: Backoff(0.5, 8.0, random.Random(1)))
    return pull("mine", entry, data, PlainProgress(), client)


def assert_intact(data: Path) -> None:
    assert check_files(load_manifest(data).models["mine"], data / "models/mine") == []
    assert not (data / "models/.partial/mine").exists()
    found = {p.relative_to(data / "models/mine") for p in (data / "models/mine").rglob("*.*")}
    assert found == {Path(path) for path in FILES}


def leave_partial(data: Path, content: bytes) -> Path:
    partial = data / "models/.partial/mine/files/model.bin"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)
    return partial


def test_files_come_from_the_pinned_revision_and_are_then_left_alone(data: Path) -> None:
    with ModelHub(FILES) as hub:
        assert bring(data, hub) is True
        assert_intact(data)
        assert [path for path, _ in hub.requests] == [
            f"/home/voice/resolve/{REVISION}/{path}" for path in FILES
        ]
        assert bring(data, hub) is False
        assert len(hub.requests) == 2


def test_a_new_data_directory_is_for_its_owner_alone(data: Path, tmp_path: Path) -> None:
    entry = load_manifest(data).models["mine"]
    new = tmp_path / "home" / "parlour"
    with ModelHub(FILES) as hub:
        pull("mine", entry, new, PlainProgress(), Hub(hub.endpoint))

    assert new.stat().st_mode & 0o777 == 0o700
    assert check_files(entry, new / "models/mine") == []


def test_a_redirect_to_where_the_hub_keeps_its_files_also_resumes(data: Path) -> None:
    with ModelHub(FILES, redirect="/elsewhere", drops=[400_000]) as hub:
        bring(data, hub)

    assert_intact(data)
    served = [wanted for path, wanted in hub.requests if path.startswith("/elsewhere/")]
    assert served == [None, "bytes=400000-", None]


@pytest.mark.parametrize("target", ["file:///etc/hosts?", "ftp://127.0.0.1:9"])
def test_a_redirect_leads_to_http_only(data: Path, target: str) -> None:
    with ModelHub(FILES, redirect=target) as hub, pytest.raises(PullError, match="127"):
        bring(data, hub)
    assert not (data / "models/mine").exists()


def test_a_dropped_connection_is_continued_where_it_stopped(data: Path) -> None:
    sleeps: list[float] = []
    with ModelHub(FILES, drops=[400_000, 300_000]) as hub:
        bring(data, hub, sleeps)

    assert_intact(data)
    assert [wanted for _, wanted in hub.requests] == [
        None, "bytes=400000-", "bytes=700000-", None,
    ]  # fmt: skip
    assert len(sleeps) == 2
    assert all(0 <= pause <= 0.5 for pause in sleeps)


def test_a_server_that_cannot_resume_is_asked_from_the_start(data: Path) -> None:
    with ModelHub(FILES, ranges=False, drops=[400_000]) as hub:
        bring(data, hub)

    assert_intact(data)
    assert [wanted for _, wanted in hub.requests] == [None, "bytes=400000-", None]


def test_a_server_that_always_drops_at_the_same_place_is_given_up(data: Path) -> None:
    sleeps: list[float] = []
    with (
        ModelHub(FILES, ranges=False, drops=[400_000] * 50) as hub,
        pytest.raises(NetworkError, match="dropped") as caught,
    ):
        bring(data, hub, sleeps)

    assert caught.value.retryable
    assert len(hub.requests) == TRIES + 1
    assert not (data / "models/mine").exists()


def test_an_answer_without_a_length_that_stops_early_is_continued(data: Path) -> None:
    with ModelHub(FILES, announce=False, drops=[10]) as hub:
        bring(data, hub)

    assert_intact(data)
    assert hub.requests[1][1] == "bytes=10-"


def test_a_busy_hub_is_asked_again(data: Path) -> None:
    with ModelHub(FILES, statuses=[429, 503]) as hub:
        bring(data, hub)

    assert_intact(data)
    assert len(hub.requests) == 4


def test_a_hub_that_stays_busy_is_given_up(data: Path) -> None:
    with (
        ModelHub(FILES, statuses=[503] * 50) as hub,
        pytest.raises(NetworkError, match="the hub answered 503"),
    ):
        bring(data, hub)
    assert len(hub.requests) == TRIES


@pytest.mark.parametrize(
    ("status", "says"), [(401, "login"), (403, "refuses"), (404, "no such file"), (410, "410")]
)
def test_a_refusal_is_final_and_says_why(data: Path, status: int, says: str) -> None:
    with (
        ModelHub(FILES, statuses=[status]) as hub,
        pytest.raises(SourceError, match=says) as caught,
    ):
        bring(data, hub)
    assert "model.bin" in str(caught.value)
    assert len(hub.requests) == 1


def test_wrong_bytes_are_refused_and_deleted(data: Path) -> None:
    wrong = {**FILES, "model.bin": WEIGHTS[:-1] + b"\x00"}
    with (
        ModelHub(wrong) as hub,
        pytest.raises(WrongContentError, match="SHA-256 is not the listed one"),
    ):
        bring(data, hub)
    assert len(hub.requests) == 1
    assert not (data / "models/.partial/mine/files/model.bin").exists()
    assert not (data / "models/mine").exists()


def test_a_page_of_another_size_does_not_cost_what_is_already_here(data: Path) -> None:
    partial = leave_partial(data, WEIGHTS[:1000])
    with (
        ModelHub({**FILES, "model.bin": b"<html>log in</html>"}, ranges=False) as hub,
        pytest.raises(SourceError, match="19 bytes instead of 1500000"),
    ):
        bring(data, hub)
    assert partial.read_bytes() == WEIGHTS[:1000]


def test_more_bytes_than_listed_are_cut_off(data: Path) -> None:
    longer = {**FILES, "model.bin": WEIGHTS + b"x" * 5_000_000}
    with (
        ModelHub(longer, announce=False) as hub,
        pytest.raises(WrongContentError, match="more than the listed 1500000 bytes"),
    ):
        bring(data, hub)
    assert not (data / "models/.partial/mine/files/model.bin").exists()


@pytest.mark.parametrize(
    "left", [b"not the beginning", WEIGHTS[:-1] + b"\x00", WEIGHTS + b"too long"]
)
def test_a_bad_rest_of_an_earlier_run_is_replaced(data: Path, left: bytes) -> None:
    leave_partial(data, left)
    with ModelHub(FILES) as hub:
        bring(data, hub)
    assert_intact(data)


def test_a_finished_rest_of_an_earlier_run_is_not_fetched_again(data: Path) -> None:
    leave_partial(data, WEIGHTS)
    with ModelHub(FILES) as hub:
        bring(data, hub)

    assert_intact(data)
    assert [path.rpartition("/")[2] for path, _ in hub.requests] == ["config.json"]


def test_of_a_damaged_model_only_the_bad_file_is_fetched(data: Path) -> None:
    with ModelHub(FILES) as hub:
        bring(data, hub)
        (data / "models/mine/sub/config.json").write_bytes(b"damaged!")
        (data / "models/mine/left-over.tmp").write_bytes(b"x")
        hub.requests.clear()
        assert bring(data, hub) is True

    assert_intact(data)
    assert [path.rpartition("/")[2] for path, _ in hub.requests] == ["config.json"]


def test_a_pull_that_died_between_the_renames_is_finished_without_the_hub(data: Path) -> None:
    with ModelHub(FILES) as hub:
        bring(data, hub)
    (data / "models/.partial/mine/replaced").mkdir(parents=True)
    (data / "models/mine").rename(data / "models/.partial/mine/files")

    assert bring(data, "http://127.0.0.1:9") is True
    assert_intact(data)


def test_no_network_is_one_error_that_may_go_away(data: Path) -> None:
    with pytest.raises(NetworkError, match=r"from 127\.0\.0\.1: no connection") as caught:
        bring(data, "http://127.0.0.1:9")
    assert caught.value.retryable
    assert "continues where it stopped" in caught.value.hint


@pytest.mark.parametrize("endpoint", ["file:///etc", "ftp://host", "nonsense", "http://"])
def test_only_http_addresses_are_taken_as_hub(data: Path, endpoint: str) -> None:
    with pytest.raises(SourceError, match="HF_ENDPOINT"):
        bring(data, endpoint)


def test_the_second_source_is_tried_when_the_first_fails(data: Path) -> None:
    (data / "models.toml").write_text(
        models_toml("mine", FILES, hub_source("mine", "gone/away") + hub_source("mine"))
    )
    with ModelHub(FILES) as hub:
        bring(data, hub)

    assert_intact(data)
    assert "gone/away" in hub.requests[0][0]


def test_when_every_source_fails_all_reasons_are_named(data: Path) -> None:
    (data / "models.toml").write_text(
        models_toml("mine", FILES, hub_source("mine", "gone/away") + hub_source("mine", "or/so"))
    )
    with ModelHub(FILES) as hub, pytest.raises(PullError, match=r"gone/away.*or/so"):
        bring(data, hub)


def test_a_model_without_a_source_says_where_its_files_belong(data: Path) -> None:
    (data / "models.toml").write_text(models_toml("mine", FILES))
    with pytest.raises(SourceError, match="names no source for mine") as caught:
        bring(data, "http://127.0.0.1:9")
    assert str(data / "models/mine") in caught.value.hint


def test_a_model_that_cannot_fit_is_refused_before_the_first_byte(data: Path) -> None:
    files = ",".join(
        f'{{ path = "{n}", size = {1 << 40}, sha256 = "{"0" * 64}" }}' for n in range(200)
    )
    (data / "models.toml").write_text(
        f'[models.mine]\nkind = "stt"\nlicence = "x"\ndescription = "x"\nfiles = [{files}]\n'
        + hub_source("mine")
    )
    with ModelHub(FILES) as hub, pytest.raises(NoSpaceError, match="are needed in"):
        bring(data, hub)
    assert hub.requests == []


def start(data: Path, hub: ModelHub, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join((*before, COMMAND)), "pull", "mine", "--data", str(data)],
        env={**os.environ, "HF_ENDPOINT": hub.endpoint, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for_size(path: Path, size: int) -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline, f"{path} never had {size} bytes"
        time.sleep(0.01)


def test_after_kill_9_in_the_middle_the_same_command_continues(data: Path) -> None:
    partial = data / "models/.partial/mine/files/model.bin"
    with ModelHub(FILES, hold_after=700_000) as hub:
        process = start(data, hub)
        wait_for_size(partial, 700_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert partial.read_bytes() == WEIGHTS[:700_000]
        assert not (data / "models/mine").exists()

        hub.release.set()
        process = start(data, hub)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output

    assert_intact(data)
    assert [wanted for _, wanted in hub.requests] == [None, "bytes=700000-", None]


def test_ctrl_c_ends_a_pull_in_words_and_keeps_what_came(data: Path) -> None:
    partial = data / "models/.partial/mine/files/model.bin"
    with ModelHub(FILES, hold_after=700_000) as hub:
        process = start(data, hub)
        wait_for_size(partial, 700_000)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "error: stopped" in output
    assert "Traceback" not in output
    assert partial.read_bytes() == WEIGHTS[:700_000]


def test_of_two_pulls_at_once_one_works_and_the_other_waits(data: Path) -> None:
    with ModelHub(FILES, hold_after=700_000) as hub:
        first = start(data, hub)
        wait_for_size(data / "models/.partial/mine/files/model.bin", 700_000)
        second = start(data, hub)
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        hub.release.set()
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]

    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert "already here" in outputs[1]
    assert len(hub.requests) == 2
    assert_intact(data)


def test_a_disk_that_fills_up_is_one_clear_message(data: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))"
    with ModelHub(FILES) as hub:
        process = start(data, hub, limit)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "no room left to write" in output
    assert "hint: make room" in output
    assert "Traceback" not in output
    assert (data / "models/.partial/mine/files/model.bin").stat().st_size == 500_000
