"""The agent's tap that measures the host, given time as the agent gives it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from tickspan_spool.entries import Entry, StreamKey, export_request
from tickspan_spool.taps import Finding, ProcessEnd, TapBatch, decoded

from tickspan.processors.host import HostTap
from tickspan.providers.samples import Sample, Value
from tickspan.received import ReceivedMetric, decode_metrics

NOW_NS = 1_700_000_000 * 10**9
BOOTED_NS = NOW_NS - 3600 * 10**9


class Host:
    """A host with one metric of each kind."""

    booted_ns = BOOTED_NS

    def sample(self) -> Sample:
        return {
            "system.cpu.time": [Value(12.5, {"cpu.mode": "user"}), Value(3.5, {"cpu.mode": "system"})],
            "system.memory.limit": [Value(4096, {})],
            "system.cpu.load_average.1m": [Value(0.75, {})],
        }


def tap(environ: Mapping[str, str] | None = None) -> HostTap:
    return HostTap(Path("/nowhere"), environ or {}, Host(), lambda: NOW_NS)


def batch(process: str) -> TapBatch:
    return TapBatch(process, "bot", [Entry(StreamKey("traces", b"", b""), b"", 1, 0)])


def metrics(findings: list[Finding]) -> list[ReceivedMetric]:
    entries = [Entry(one.stream, one.body, one.items, 0) for one in findings]
    return decode_metrics(decoded("metrics", export_request(entries)))  # pyright: ignore[reportArgumentType] - of the signal


def test_the_host_is_told_as_the_catalogue_says_under_its_own_resource() -> None:
    host = tap()
    host.on_batch(batch("101-7-ab"))
    findings = list(host.tick(5.0) or ())
    told = metrics(findings)
    assert [(one.process, one.items) for one in findings] == [
        ("101-7-ab", 2),
        ("101-7-ab", 1),
        ("101-7-ab", 1),
    ]
    assert [(one.name, one.unit, one.kind, one.is_monotonic, one.temporality, one.scope) for one in told] == [
        ("system.cpu.time", "s", "sum", True, "cumulative", "tickspan.host"),
        ("system.memory.limit", "By", "sum", False, "cumulative", "tickspan.host"),
        ("system.cpu.load_average.1m", "{thread}", "gauge", False, "unspecified", "tickspan.host"),
    ]
    assert [(point.attributes, point.value, point.start_ns, point.time_ns) for point in told[0].points] == [
        ({"cpu.mode": "user"}, 12.5, BOOTED_NS, NOW_NS),
        ({"cpu.mode": "system"}, 3.5, BOOTED_NS, NOW_NS),
    ]
    name = socket.gethostname()
    assert told[0].resource == {
        "service.name": "tickspan-agent",
        "service.instance.id": name,
        "host.name": name,
    }


def test_nothing_is_measured_before_a_process_is_there_to_tell_it_for() -> None:
    assert tap().tick(5.0) is None


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, 10.0),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "2000"}, 2.0),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "often"}, 10.0),
        ({"TICKSPAN_METRICS_INTERVAL_S": "3"}, 3.0),
    ],
)
def test_the_host_is_told_as_often_as_processes_collect(
    environ: Mapping[str, str], interval_s: float
) -> None:
    host = tap(environ)
    host.on_batch(batch("101-7-ab"))
    times = [0.0, interval_s - 0.5, interval_s, interval_s + 0.5, 2 * interval_s]
    assert [host.tick(now_s) is not None for now_s in times] == [True, False, True, False, True]


def test_it_is_told_once_for_all_processes_and_by_one_that_lives() -> None:
    host = tap()
    for process in ("101-7-ab", "102-7-cd"):
        host.on_batch(batch(process))
    assert {one.process for one in host.tick(0.0) or ()} == {"102-7-cd"}
    host.on_end(ProcessEnd("102-7-cd", "bot", 102, has_exited_cleanly=True))
    assert {one.process for one in host.tick(10.0) or ()} == {"101-7-ab"}
    host.on_end(ProcessEnd("101-7-ab", "bot", 101, has_exited_cleanly=True))
    assert host.tick(20.0) is None


def test_the_real_host_is_measured_without_being_given() -> None:
    host = HostTap(Path("/nowhere"), {})
    host.on_batch(batch("101-7-ab"))
    told = {one.name for one in metrics(list(host.tick(0.0) or ()))}
    assert {"system.cpu.time", "system.memory.usage", "system.uptime"} <= told
