"""Our readings of the real `/proc` are psutil's of the same moment, at a fraction of the cost."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tickspan.providers.host import Host, host_reader
from tickspan.providers.process import Process, process_reader
from tickspan.recording.cgroups import Cgroup
from tickspan.recording.portable import PortableHost, PortableProcess
from tickspan.recording.procfs import HostFiles, ProcessFiles

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="there is a /proc on Linux only"),
]


def test_a_process_is_as_psutil_says() -> None:
    ours, theirs = ProcessFiles().stat(), psutil.Process()
    assert ours is not None
    memory, times = theirs.memory_info(), theirs.cpu_times()
    assert ours.resident_bytes == pytest.approx(memory.rss, rel=0.05)
    assert ours.virtual_bytes == pytest.approx(memory.vms, rel=0.05)
    assert ours.user_s == pytest.approx(times.user, abs=0.1)
    assert ours.system_s == pytest.approx(times.system, abs=0.1)
    assert ours.threads == theirs.num_threads()
    assert psutil.boot_time() + ours.start_s == pytest.approx(theirs.create_time(), abs=1.5)


def test_open_files_are_counted_as_psutil_counts_them(tmp_path: Path) -> None:
    files = ProcessFiles()
    before = files.descriptors()
    assert before is not None
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        assert files.descriptors() == before + 2
        assert abs(before + 2 - psutil.Process().num_fds()) <= 1


def test_a_host_is_as_psutil_says() -> None:
    files = HostFiles()
    ours, theirs = files.memory(), psutil.virtual_memory()
    assert ours is not None
    assert ours.total == theirs.total
    assert ours.available == pytest.approx(theirs.available, rel=0.05)
    assert ours.buffers == pytest.approx(theirs.buffers, rel=0.05, abs=1 << 20)
    stat, times = files.stat(), psutil.cpu_times()
    assert stat is not None
    assert stat.cpus.user == pytest.approx(times.user, abs=1.0)
    assert stat.cpus.idle == pytest.approx(times.idle, abs=1.0)
    assert (stat.logical_cpus, stat.booted_s) == (psutil.cpu_count(), psutil.boot_time())
    assert files.processes() == pytest.approx(len(psutil.pids()), abs=5)
    assert files.uptime() == pytest.approx(time.time() - psutil.boot_time(), abs=2.0)


def test_disks_and_networks_are_as_psutil_says() -> None:
    files = HostFiles()
    disks, theirs = files.disks(), psutil.disk_io_counters(perdisk=True)
    assert {name: one.read_bytes for name, one in disks.items()} == {
        name: pytest.approx(theirs[name].read_bytes, rel=0.01, abs=1 << 24) for name in disks
    }
    networks, interfaces = files.networks(), psutil.net_io_counters(pernic=True)
    assert {name: one.received_bytes for name, one in networks.items()} == {
        name: pytest.approx(interfaces[name].bytes_recv, rel=0.01, abs=1 << 20) for name in networks
    }


def test_what_psutil_stands_in_for_has_the_same_form() -> None:
    ours, theirs = ProcessFiles(), PortableProcess()
    stat, other = ours.stat(), theirs.stat()
    assert stat is not None
    assert other is not None
    assert (other.threads, other.resident_bytes) == (
        stat.threads,
        pytest.approx(stat.resident_bytes, rel=0.05),
    )
    assert other.start_s == pytest.approx(stat.start_s, abs=1.5)
    host, portable = HostFiles(), PortableHost()
    memory, held = host.memory(), portable.memory()
    assert memory is not None
    assert held is not None
    assert held.total == memory.total
    assert (portable.connections(), portable.faults()) == ({}, None)
    assert set(portable.networks()) == set(host.networks())


def test_a_busy_process_is_seen_to_be_busy() -> None:
    process = Process(process_reader(), Cgroup(), psutil.virtual_memory().total)
    process.sample()
    began, spent = time.monotonic(), time.process_time()
    while time.monotonic() - began < 1.0:
        sum(range(1_000))
    spent, passed = time.process_time() - spent, time.monotonic() - began
    told = sum(value.value for value in process.sample()["process.cpu.utilization"])
    cpus = len(psutil.Process().cpu_affinity() or ())
    assert told == pytest.approx(spent / passed / cpus, abs=0.1)


def test_a_sample_costs_less_than_a_millisecond() -> None:
    reader = host_reader()
    assert reader is not None
    process, host = Process(process_reader(), Cgroup(), 1 << 30), Host(reader)

    def once() -> float:
        began = time.perf_counter()
        process.sample()
        host.sample()
        return time.perf_counter() - began

    assert min(once() for _ in range(20)) < 0.001
