"""The process itself: who it is, since when, whether it works, and what it uses."""

from __future__ import annotations

import psutil

from parlour_kit.metrics.registry import Capped, Group

LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_group = Group("all")

app_info = _group.gauge(
    "parlour_app_info", "Which service this is, and in which version; always 1",
    ["service", "version"],
)  # fmt: skip
app_start_time = _group.gauge(
    "parlour_app_start_time_seconds", "When the process was started, Unix time"
)
ready = _group.gauge("parlour_ready", "1 when the process takes work and all of it works, else 0")
process_memory = _group.gauge(
    "parlour_process_memory_bytes", "Resident memory of the process, looked at once a second"
)
process_cpu = _group.gauge(
    "parlour_process_cpu_percent",
    "Processor time of the process over the last second, 100 is one core",
)
loop_lag = _group.histogram(
    "parlour_event_loop_lag_seconds",
    "How much later than asked for the event loop came back, once a second",
    buckets=LAG_BUCKETS_S,
)
queue_depth = _group.gauge("parlour_queue_depth", "Requests that wait, looked at once a second")
health_check_duration = _group.histogram(
    "parlour_health_check_duration_seconds", "How long a health check took", ["check_name"]
)
health_check_status = _group.gauge(
    "parlour_health_check_status", "1 when a health check passed the last time, else 0",
    ["check_name"],
)  # fmt: skip

_check_name = Capped(32)
_self = psutil.Process()


def identify(service: str, version: str) -> None:
    """Say who this process is; when it was started is known to the machine."""
    app_info.clear()
    app_info.labels(service, version).set(1)
    app_start_time.set(_self.create_time())


def tick(lag_s: float, *, queue: int, works: bool) -> None:
    """Note the second that has passed.

    Args:
        lag_s: how much longer than a second it took the event loop.
        queue: requests that wait.
        works: whether the process is ready and healthy.
    """
    loop_lag.observe(max(0.0, lag_s))
    queue_depth.set(queue)
    ready.set(works)
    with _self.oneshot():
        process_memory.set(_self.memory_info().rss)
        process_cpu.set(_self.cpu_percent(interval=None))


def health_check(name: str, seconds: float, *, healthy: bool) -> None:
    """A health check was made: it took so long, and this came of it (P024, P025)."""
    label = _check_name(name)
    health_check_duration.labels(label).observe(seconds)
    health_check_status.labels(label).set(healthy)
