"""A real Prometheus asks a real fleet, and the dashboard shows where the time of its turns went."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from parlour_cli.up.members import INSTANCES
from parlour_testkit.brokers import free_port
from story_queries import ALERTS, OBSERVE, alerts, dashboard_queries
from story_up import Up, parlour_up

pytestmark = [pytest.mark.model, pytest.mark.broker, pytest.mark.timeout(600)]

TURNS = 10
WINDOW, SPAN = "3m", "15m"
"""In place of Grafana's variables: long enough that all turns are within."""

WAITS = ("endpoint", "transcript", "first_token", "first_sentence", "first_audio")
CLIP, WORD = files("stt_worker") / "known.wav", b"surpassed"
"""What is said in each turn, and a word of it."""

BRIEF = {"temperature": 0.0, "max_tokens": 20}


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    port: int

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of its interface."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series."""
        result = self.get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def value(self, expression: str) -> float:
        """Of the one series; 0 where there is none yet."""
        found = self.query(expression)
        return found[0][1] if found else 0.0


def ports_of(up: Up) -> dict[str, int]:
    """Instance → where it answers, as the fleet itself notes it."""
    record = json.loads((up.data / "run" / "up.json").read_text(encoding="utf-8"))
    return {name: int(port) for name, port in record["probe_ports"].items()}


def settings_for(ports: dict[str, int]) -> dict[str, Any]:
    """The shipped settings, with the addresses of this fleet in place of compose's."""
    settings: dict[str, Any] = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())
    settings["rule_files"] = [str(ALERTS)]
    (job,) = settings["scrape_configs"]
    for part in ("dns_sd_configs", "relabel_configs"):
        del job[part]
    job["static_configs"] = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}}
        for name, port in ports.items()
    ]
    return settings


def until(what: str, reached: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when something is reached.

    Raises:
        AssertionError: it was not, in time.
    """
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.5)


@pytest.fixture(scope="module")
def up(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed: apt install prometheus")
    data = tmp_path_factory.mktemp("prometheus") / "data"
    (data / "config").mkdir(mode=0o700, parents=True)
    data.chmod(0o700)
    (data / "config" / "llm-worker.json").write_text(json.dumps(BRIEF))
    with parlour_up(data, models_dir, "--broker", "mosquitto") as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has seen the fleet before its first turn, and after ten of them."""
    folder = tmp_path_factory.mktemp("store")
    settings = folder / "prometheus.yml"
    settings.write_text(yaml.safe_dump(settings_for(ports_of(up))))
    running = Prometheus(free_port())
    process = subprocess.Popen(
        ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{running.port}", "--log.level=warn"],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until("Prometheus is ready", lambda: _answers(running), 30)
        until("all are asked", lambda: running.value('sum(up{job="parlour"})') == len(INSTANCES))
        for _ in range(TURNS):
            code, answer = up.ask("--wav", str(CLIP))
            assert code == 0, answer
        until("all turns are seen", lambda: running.value("sum(parlour_turns_total)") == TURNS)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=15)


def _answers(prometheus: Prometheus) -> bool:
    try:
        prometheus.get("targets")
    except OSError:
        return False
    return True


@pytest.mark.req("H008", "X24", "P022")
def test_every_process_is_asked_and_says_who_it_is(prometheus: Prometheus) -> None:
    found = {labels["instance"]: value for labels, value in prometheus.query("up")}
    named = {labels["instance"]: labels for labels, _ in prometheus.query("parlour_app_info")}

    assert found == dict.fromkeys(INSTANCES, 1.0)
    assert {name: labels["service"] for name, labels in named.items()} == INSTANCES
    for gauge in ("system_cpu_percent", "system_memory_available_bytes",
                  "system_swap_usage_bytes", "system_cpu_temperature_celsius"):  # fmt: skip
        assert {labels["instance"] for labels, _ in prometheus.query(gauge)} == set(INSTANCES)


def test_every_query_of_the_dashboard_shows_something_after_ten_turns(
    prometheus: Prometheus,
) -> None:
    silent = [
        f"{query.where}: {query.expr}"
        for query in dashboard_queries()
        if not prometheus.query(query.evaluable(WINDOW, SPAN))
    ]

    assert silent == []


def test_the_waterfall_of_a_turn_can_be_read_from_the_stages(prometheus: Prometheus) -> None:
    stage = "parlour_turn_stage_seconds"

    heard = prometheus.value(f'{stage}_count{{stage="voice_to_voice"}}')
    means = {
        name: prometheus.value(f'{stage}_sum{{stage="{name}"}} / {stage}_count{{stage="{name}"}}')
        for name in WAITS
    }

    assert heard == TURNS
    assert all(mean > 0 for mean in means.values()), means
    whole = prometheus.value(
        f'{stage}_sum{{stage="voice_to_voice"}} / {stage}_count{{stage="voice_to_voice"}}'
    )
    assert whole == pytest.approx(sum(means.values()))


def test_the_rules_can_be_evaluated_and_the_fleet_is_well(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing.isdisjoint({
        "ParlourProcessDown", "ParlourNotReady", "ParlourBrokerAway", "ParlourConfigBlocked",
    })  # fmt: skip


def test_nothing_that_was_said_is_in_the_metrics(up: Up, prometheus: Prometheus) -> None:
    assert prometheus.port
    for port in ports_of(up).values():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert WORD not in answer.read().lower()
