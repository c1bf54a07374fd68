"""Scrape settings, alert rules and dashboard fit what the processes really serve."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from parlour_cli.up.members import INSTANCES
from parlour_kit.metrics.catalogue import catalogue
from story_queries import OBSERVE, Query, alert_queries, alerts, dashboard, dashboard_queries

SERIES = {name: metric for metric in catalogue() for name in metric.series}
OF_PROMETHEUS = {"instance", "job", "le"}
QUERIES = [*dashboard_queries(), *alert_queries()]


@pytest.fixture
def scrape() -> dict[str, Any]:
    loaded = yaml.safe_load((OBSERVE / "prometheus.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_a_query_asks_only_for_what_some_process_serves(query: Query) -> None:
    assert query.names - {"up"} <= SERIES.keys()

    known = {label for name in query.names - {"up"} for label in SERIES[name].labels}
    assert query.groupings <= known | OF_PROMETHEUS
    for name, label, value in query.matchers:
        if name == "up":
            continue
        assert label in {*SERIES[name].labels, *OF_PROMETHEUS}
        if label == "le":
            assert float(value) in SERIES[name].buckets


def test_every_process_is_asked_each_five_seconds_at_the_port_of_its_image(
    scrape: dict[str, Any],
) -> None:
    (job,) = scrape["scrape_configs"]

    assert scrape["global"]["scrape_interval"] == "5s"
    targets = job["static_configs"][0]["targets"]
    assert set(targets) == {f"{instance}:8081" for instance in INSTANCES}


def test_second_workers_are_asked_where_they_run_and_missed_nowhere_else(
    scrape: dict[str, Any],
) -> None:
    compose = yaml.safe_load((OBSERVE.parent / "compose.yaml").read_text(encoding="utf-8"))
    scaled = {
        name
        for name, service in compose["services"].items()
        if "scale" in (service.get("profiles") or ())
    }

    (job,) = scrape["scrape_configs"]

    assert {name for dns in job["dns_sd_configs"] for name in dns["names"]} == scaled


@pytest.mark.req("H040")
def test_the_rules_of_the_requirements_are_among_those_shipped() -> None:
    rules = {rule["alert"]: (rule["expr"], rule.get("for")) for rule in alerts()}

    assert rules["ParlourHot"] == ("max(system_cpu_temperature_celsius) >= 80", "1m")
    assert rules["ParlourMemoryLow"] == (
        f"min(system_memory_available_bytes) < {1024**3}", "2m",
    )  # fmt: skip
    assert rules["ParlourSwapping"] == (f"max(system_swap_usage_bytes) > {2 * 1024**3}", "5m")


def test_every_rule_says_how_bad_it_is_what_happened_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_panels_are_told_apart_have_room_and_ask_the_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load(
        (OBSERVE / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    )
    (source,) = provisioned["datasources"]
    panels = dashboard()["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in (p for p in panels if p["type"] != "row"):
        assert panel["datasource"]["uid"] == source["uid"]
        assert panel["targets"]
        assert panel["title"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        pos = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(pos["x"], pos["x"] + pos["w"])
            for y in range(pos["y"], pos["y"] + pos["h"])
        }
        assert pos["x"] + pos["w"] <= 24
        assert not cells & taken
        taken |= cells


RULE_TEST = """\
rule_files: [{alerts}]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {{series: 'system_cpu_temperature_celsius{{instance="router"}}', values: '80x8 79x8'}}
      - {{series: 'system_memory_available_bytes{{instance="router"}}', values: '1073741823x20'}}
      - {{series: 'system_swap_usage_bytes{{instance="router"}}', values: '2147483648x40'}}
      - {{series: 'up{{job="parlour", instance="router"}}', values: '1x4 0x10'}}
    alert_rule_test:
      - {{eval_time: 45s, alertname: ParlourHot, exp_alerts: []}}
      - eval_time: 90s
        alertname: ParlourHot
        exp_alerts:
          - exp_labels: {{severity: critical}}
            exp_annotations:
              summary: The processor has 80 °C
              description: From 85 °C on the workers take no new work. Give the machine air, or a fan.
      - {{eval_time: 4m, alertname: ParlourHot, exp_alerts: []}}
      - {{eval_time: 105s, alertname: ParlourMemoryLow, exp_alerts: []}}
      - eval_time: 150s
        alertname: ParlourMemoryLow
        exp_alerts:
          - exp_labels: {{severity: warning}}
            exp_annotations:
              summary: Only 1024MiB of memory are available
              description: Choose a smaller model, or run a worker on another machine.
      - {{eval_time: 9m, alertname: ParlourSwapping, exp_alerts: []}}
      - {{eval_time: 60s, alertname: ParlourProcessDown, exp_alerts: []}}
      - eval_time: 2m
        alertname: ParlourProcessDown
        exp_alerts:
          - exp_labels: {{severity: critical, job: parlour, instance: router}}
            exp_annotations:
              summary: router does not answer
              description: See `docker compose ps` and `docker compose logs router`.
"""


@pytest.mark.req("H040")
def test_rules_fire_after_their_time_and_not_before(tmp_path: Path) -> None:
    """Prometheus' own tool plays a hot, full machine and a process that is gone."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    played = tmp_path / "rules.yml"
    played.write_text(RULE_TEST.format(alerts=OBSERVE / "alerts.yml"), encoding="utf-8")

    for command in (
        ["check", "config", str(OBSERVE / "prometheus.yml")],
        ["test", "rules", str(played)],
    ):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
