"""Samplers of the host and of this process, and the instruments that tell what they read."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tickspan.providers import MeterProvider
from tickspan.providers.host import HOST_METRICS, Host, host_reader
from tickspan.providers.process import PROCESS_METRICS, Process, measure_process, process_reader
from tickspan.providers.samples import Sample, Shares, Value, observe
from tickspan.recording.cgroups import Cgroup
from tickspan.recording.procfs import (
    CpuTimes,
    DiskCounts,
    HostStat,
    Memory,
    NetworkCounts,
    ProcessStat,
)
from tickspan.semconv.catalogue import METRICS
from tickspan.testing.sink import MemorySink


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Reader:
    """A host as a test says."""

    def __init__(self) -> None:
        self.cpus = CpuTimes(10, 0, 5, 80, 1, 1, 3)

    def stat(self) -> HostStat | None:
        return HostStat(self.cpus, 2, 500, 1, 1000.0)

    def memory(self) -> Memory | None:
        return Memory(1000, 400, 300, 200, 100, 450, 64, 60)

    def load_average(self) -> tuple[float, int | None] | None:
        return 0.5, 90

    def uptime(self) -> float | None:
        return 60.0

    def disks(self) -> Mapping[str, DiskCounts]:
        return {"sda": DiskCounts(1, 512, 2, 1024, 0.25)}

    def networks(self) -> Mapping[str, NetworkCounts]:
        return {"eth0": NetworkCounts(10, 1, 2, 3, 20, 4, 5, 6)}

    def connections(self) -> Mapping[str, int]:
        return {"established": 7}

    def faults(self) -> tuple[int, int] | None:
        return 100, 10

    def processes(self) -> int | None:
        return 89


def test_shares_are_those_of_the_time_that_passed() -> None:
    shares = Shares()
    assert shares.of({"user": 1.0, "system": 1.0}, 10.0, parallel=2) == {}
    assert shares.of({"user": 2.0, "system": 1.5}, 11.0, parallel=2) == {"user": 0.5, "system": 0.25}


def test_shares_of_a_moment_are_those_of_the_time_before() -> None:
    shares = Shares()
    shares.of({"user": 1.0}, 10.0)
    before = shares.of({"user": 1.5}, 11.0)
    assert shares.of({"user": 1.6}, 11.1) == before == {"user": 0.5}


def test_shares_begin_anew_when_a_sum_falls() -> None:
    shares = Shares()
    shares.of({"user": 5.0}, 10.0)
    assert shares.of({"user": 0.5}, 11.0) == {}
    assert shares.of({"user": 1.0}, 12.0) == {"user": 0.5}


def test_a_host_is_told_in_the_conventions_names() -> None:
    clock, reader = Clock(), Reader()
    host = Host(reader, clock)
    host.sample()
    reader.cpus, clock.now_s = CpuTimes(13, 0, 6, 86, 1, 1, 3), 105.0
    told = host.sample()
    assert set(told) == set(HOST_METRICS)
    assert {value.attributes["cpu.mode"]: value.value for value in told["system.cpu.utilization"]} == {
        "user": 0.3,
        "nice": 0.0,
        "system": 0.1,
        "idle": 0.6,
        "iowait": 0.0,
        "interrupt": 0.0,
        "steal": 0.0,
    }
    assert told["system.memory.utilization"] == [
        Value(0.4, {"system.memory.state": "used"}),
        Value(0.3, {"system.memory.state": "free"}),
        Value(0.2, {"system.memory.state": "cached"}),
        Value(0.1, {"system.memory.state": "buffers"}),
    ]
    assert told["system.disk.io"] == [
        Value(512, {"system.device": "sda", "disk.io.direction": "read"}),
        Value(1024, {"system.device": "sda", "disk.io.direction": "write"}),
    ]
    assert told["system.network.packet.dropped"] == [
        Value(3, {"network.interface.name": "eth0", "network.io.direction": "receive"}),
        Value(6, {"network.interface.name": "eth0", "network.io.direction": "transmit"}),
    ]
    assert told["system.paging.faults"] == [
        Value(90, {"system.paging.fault.type": "minor"}),
        Value(10, {"system.paging.fault.type": "major"}),
    ]


def test_what_nobody_can_read_of_a_host_is_left_out(tmp_path: Path) -> None:
    from tickspan.recording.procfs import HostFiles

    assert Host(HostFiles(tmp_path)).sample() == {"system.process.count": [Value(0, {})]}


@pytest.mark.parametrize("names", [HOST_METRICS, PROCESS_METRICS])
def test_every_metric_of_a_sampler_is_in_the_catalogue(names: tuple[str, ...]) -> None:
    assert [name for name in names if name not in METRICS] == []


class Own:
    """A process as a test says."""

    def stat(self) -> ProcessStat | None:
        return ProcessStat(1.0, 2.0, 3, 4, 5, 60.0, 8000, 250)

    def io(self) -> tuple[int, int] | None:
        return 10, 20

    def descriptors(self) -> int | None:
        return 6


def process(tmp_path: Path, **limits: str) -> Process:
    """In a container with these files; `__` stands for the dot."""
    (tmp_path / "self").mkdir(exist_ok=True)
    (tmp_path / "self/cgroup").write_text("0::/\n")
    (tmp_path / "self/mountinfo").write_text(f"30 24 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    for name, text in limits.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return Process(Own(), Cgroup(tmp_path), 1000, Clock(), lambda: 90.0)


def test_a_process_is_told_in_the_conventions_names(tmp_path: Path) -> None:
    told = process(tmp_path).sample()
    wanted = {
        "process.memory.usage": [Value(250, {})],
        "process.memory.virtual": [Value(8000, {})],
        "process.memory.utilization": [Value(0.25, {})],
        "process.disk.io": [
            Value(10, {"disk.io.direction": "read"}),
            Value(20, {"disk.io.direction": "write"}),
        ],
        "process.thread.count": [Value(5, {})],
        "process.unix.file_descriptor.count": [Value(6, {})],
        "process.uptime": [Value(30.0, {})],
    }
    assert {name: told[name] for name in wanted} == wanted
    assert [value.attributes for value in told["cpython.gc.collections"]] == [
        {"cpython.gc.generation": generation} for generation in range(3)
    ]


def test_memory_is_judged_by_the_containers_limit(tmp_path: Path) -> None:
    limited = process(
        tmp_path, memory__max="500\n", memory__current="300\n", memory__stat="inactive_file 50\n"
    )
    told = limited.sample()
    assert told["process.memory.utilization"] == [Value(0.5, {})]
    assert told["container.memory.working_set"] == [Value(250, {})]
    assert told["tickspan.container.memory.utilization"] == [Value(0.5, {})]
    assert set(told) <= set(limited.metrics)


def test_throttling_is_told_where_there_is_a_quota(tmp_path: Path) -> None:
    stat = "user_usec 1000000\nsystem_usec 0\nnr_periods 9\nnr_throttled 3\nthrottled_usec 2\n"
    told = process(tmp_path, cpu__max="50000 100000\n", cpu__stat=stat).sample()
    assert told["container.cpu.throttling_data.throttled_periods"] == [Value(3, {})]
    assert told["container.cpu.throttling_data.throttled_time"] == [Value(2000, {})]


def test_a_process_without_a_container_tells_none(tmp_path: Path) -> None:
    assert [name for name in process(tmp_path).metrics if name.startswith("container.")] == []


def test_without_proc_the_interpreter_still_tells() -> None:
    told = Process(None, Cgroup(Path("/nowhere")), None).sample()
    assert {"process.cpu.time", "cpython.gc.collections"} <= set(told)
    assert "process.memory.usage" not in told


class Counted:
    """A sampler that counts how often it is asked."""

    def __init__(self) -> None:
        self.samples = 0

    def sample(self) -> Sample:
        self.samples += 1
        return {"system.uptime": [Value(5.0, {})], "system.process.count": [Value(3, {})]}


def test_one_sample_serves_all_instruments_of_a_collection() -> None:
    sink, sampler = MemorySink(), Counted()
    provider = MeterProvider(sink=sink, shutdown_on_exit=False)
    observe(provider.get_meter("test"), sampler, ["system.uptime", "system.process.count", "system.cpu.time"])
    provider.collect()
    told = {
        metric.name: (metric.kind, metric.unit, metric.points[0].value) for metric in sink.telemetry().metrics
    }
    assert told == {"system.uptime": ("gauge", "s", 5.0), "system.process.count": ("sum", "{process}", 3)}
    assert sampler.samples == 1


@pytest.fixture
def measured() -> Iterator[tuple[MeterProvider, MemorySink]]:
    sink = MemorySink()
    provider = MeterProvider(sink=sink, shutdown_on_exit=False)
    teller = measure_process(provider)
    yield provider, sink
    teller.stop()


def test_what_a_provider_tells_of_its_process_is_as_the_catalogue_says(measured: Any) -> None:
    provider, sink = measured
    gc.collect()
    provider.collect()
    instruments = {
        ("sum", True): "counter",
        ("sum", False): "updowncounter",
        ("gauge", False): "gauge",
        ("histogram", False): "histogram",
    }
    told = {metric.name: metric for metric in sink.telemetry().metrics}
    assert {name: (instruments[one.kind, one.is_monotonic], one.unit) for name, one in told.items()} == {
        name: (METRICS[name].instrument, METRICS[name].unit) for name in told
    }
    assert {*PROCESS_METRICS, "tickspan.cpython.gc.pause.duration"} - {"process.cpu.utilization"} <= set(told)


def test_a_pause_of_the_collector_is_in_the_collection_that_follows(measured: Any) -> None:
    provider, sink = measured
    provider.collect()
    sink.entries.clear()
    gc.collect(2)
    provider.collect()
    (pauses,) = (one for one in sink.telemetry().metrics if one.name == "tickspan.cpython.gc.pause.duration")
    counted = {point.attributes["cpython.gc.generation"]: point.count for point in pauses.points}
    assert counted[2] >= 1


def test_a_process_that_is_stopped_being_measured_leaves_the_collector_as_it_was() -> None:
    before = list(gc.callbacks)
    teller = measure_process(MeterProvider(sink=MemorySink(), shutdown_on_exit=False))
    teller.stop()
    assert gc.callbacks == before


def test_off_linux_psutil_is_asked_and_nobody_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(host_reader("darwin")).__name__ == "PortableHost"
    assert type(process_reader("darwin")).__name__ == "PortableProcess"
    monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    assert (host_reader("darwin"), process_reader("darwin")) == (None, None)


def test_samplers_say_what_they_are(tmp_path: Path) -> None:
    assert repr(Host(Reader())) == "<Host by Reader>"
    assert repr(process(tmp_path)) == (
        f"<Process {os.getpid()} by Own, <Cgroup memory unlimited, CPU unlimited>>"
    )
