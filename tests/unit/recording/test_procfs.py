"""Texts of the kernel become values; whatever else they are becomes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording import procfs
from tickspan.recording.procfs import (
    CpuTimes,
    DiskCounts,
    HostFiles,
    HostStat,
    KernelFile,
    Memory,
    NetworkCounts,
    ProcessFiles,
    ProcessStat,
)

STAT = (
    b"8528 (my (bot) 1) R 8510 8510 23358 0 -1 4194304 106 7 3 8 250 120 5 6 20 0 4 0 4400577 3133440 416 "
    b"18446744073709551615 94735449583616 94735449603497 140729921438256 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
)
IO = b"rchar: 7298\nwchar: 322\nsyscr: 14\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n"
HOST = (
    b"cpu  100 20 30 400 5 1 2 8 7 6\ncpu0 50 10 15 200 2 0 1 4 3 3\ncpu1 50 10 15 200 3 1 1 4 4 3\n"
    b"intr 12 0 9\nctxt 77091356\nbtime 1795645829\nprocesses 852194\nprocs_running 4\nprocs_blocked 0\n"
)
MEMINFO = (
    b"MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    700 kB\nBuffers:          50 kB\n"
    b"Cached:          300 kB\nSwapTotal:        64 kB\nSwapFree:         60 kB\nSReclaimable:      30 kB\n"
    b"HugePages_Total:       0\n"
)
DISKSTATS = (
    b"   7       0 loop0 9 0 72 0 0 0 0 0 0 4 0 0 0 0 0 0 0\n"
    b" 254       0 vda 100 7 800 30 50 9 400 20 0 1500 50 0 0 0 0 0 0\n"
    b" 254       1 vda1 90 7 700 30 50 9 400 20 0 1400 50 0 0 0 0 0 0\n"
    b" 259       0 nvme0n1 1 0 8 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
    b" 259       1 nvme0n1p1 1 0 8 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
    b" 253       0 dm-0 100 0 800 0 50 0 400 0 0 1500 0 0 0 0 0 0 0\n"
    b"   8       0 sda 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
NET_DEV = (
    b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls"
    b" carrier compressed\n"
    b"    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0\n"
    b"  ifb0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    b"  eth0:8182 331 1 2 0 0 0 0 1690 170 3 4 0 0 0 0\n"
)
SNMP = b"Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm CurrEstab InSegs\nTcp: 1 42 9\n"
SOCKSTAT = b"sockets: used 18\nTCP: inuse 2 orphan 0 tw 7 alloc 2 mem 132\nUDP: inuse 0 mem 0\n"


def test_a_process_is_read_though_its_name_holds_blanks_and_brackets() -> None:
    assert procfs.process_stat(STAT, 0.5, 4096) == ProcessStat(
        user_s=125.0,
        system_s=60.0,
        minor_faults=106,
        major_faults=3,
        threads=4,
        start_s=2200288.5,
        virtual_bytes=3133440,
        resident_bytes=416 * 4096,
    )


def test_disk_bytes_of_a_process_are_those_that_disks_moved() -> None:
    assert procfs.process_io(IO) == (4096, 8192)


def test_cpu_times_of_the_host_have_the_conventions_modes_and_guests_count_once() -> None:
    assert procfs.host_stat(HOST, 0.01) == HostStat(
        CpuTimes(1.0, 0.2, 0.3, 4.0, 0.05, 0.03, 0.08), 2, 852194, 4, 1795645829.0
    )


def test_states_of_memory_add_up_to_the_total() -> None:
    found = procfs.memory(MEMINFO)
    kib = 1024
    assert found == Memory(
        1000 * kib, 420 * kib, 200 * kib, 330 * kib, 50 * kib, 700 * kib, 64 * kib, 60 * kib
    )
    assert found is not None
    assert found.total == found.used + found.free + found.cached + found.buffers


def test_disks_are_told_without_partitions_layers_and_what_was_never_used() -> None:
    assert procfs.disks(DISKSTATS) == {
        "vda": DiskCounts(100, 800 * 512, 50, 400 * 512, 1.5),
        "nvme0n1": DiskCounts(1, 8 * 512, 0, 0, 0.002),
    }


def test_networks_are_told_without_the_loopback_and_what_was_never_used() -> None:
    assert procfs.networks(NET_DEV) == {"eth0": NetworkCounts(8182, 331, 1, 2, 1690, 170, 3, 4)}


def test_small_texts_become_numbers() -> None:
    assert procfs.load_average(b"0.71 0.35 0.35 1/104 8520\n") == (0.71, 104)
    assert procfs.uptime(b"44452.96 81000.12\n") == 44452.96
    assert procfs.established(SNMP) == 42
    assert procfs.waiting(SOCKSTAT) == 7
    assert procfs.page_faults(b"pgpgin 4\npgfault 892\npgmajfault 18\n") == (892, 18)


PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "process_stat": (lambda text: procfs.process_stat(text, 0.01, 4096), STAT),
    "process_io": (procfs.process_io, IO),
    "host_stat": (lambda text: procfs.host_stat(text, 0.01), HOST),
    "memory": (procfs.memory, MEMINFO),
    "disks": (procfs.disks, DISKSTATS),
    "networks": (procfs.networks, NET_DEV),
    "load_average": (procfs.load_average, b"0.71 0.35 0.35 1/104 8520\n"),
    "uptime": (procfs.uptime, b"44452.96 81000.12\n"),
    "established": (procfs.established, SNMP),
    "waiting": (procfs.waiting, SOCKSTAT),
    "page_faults": (procfs.page_faults, b"pgpgin 4\npgfault 892\npgmajfault 18\n"),
}


@pytest.mark.parametrize("name", PARSERS)
def test_no_truncated_text_raises(name: str) -> None:
    parse, text = PARSERS[name]
    for size in range(len(text)):
        parse(text[:size])


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_no_damaged_text_raises(name: str, data: st.DataObject) -> None:
    parse, text = PARSERS[name]
    place = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(st.binary(max_size=12))
    parse(text[:place] + junk + text[place + len(junk) :])


@pytest.mark.parametrize("name", [name for name in PARSERS if name not in {"disks", "networks"}])
def test_an_empty_text_tells_nothing(name: str) -> None:
    parse, _ = PARSERS[name]
    assert parse(b"") is None


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    file = KernelFile(path)
    assert file.read() == b"one"
    path.write_bytes(b"second")
    assert file.read() == b"second"
    file.close()


def test_a_large_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert len(KernelFile(path).read() or b"") == 100_000


def test_a_file_that_is_not_there_tells_nothing_until_it_comes(tmp_path: Path) -> None:
    file = KernelFile(tmp_path / "file")
    assert file.read() is None
    (tmp_path / "file").write_bytes(b"here")
    assert file.read() == b"here"


def test_a_descriptor_that_became_another_file_is_neither_read_nor_closed(tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(b"ours")
    (tmp_path / "theirs").write_bytes(b"theirs")
    file = KernelFile(tmp_path / "ours")
    file.read()
    other = os.open(tmp_path / "theirs", os.O_RDONLY)
    os.dup2(other, file._fd)
    number = file._fd
    assert file.read() == b"ours"
    assert os.pread(number, 10, 0) == b"theirs"
    file.close()
    os.close(number)
    os.close(other)


def test_a_forked_child_reads_its_own_files() -> None:
    files = ProcessFiles()
    files.stat()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        stat = files._stat.read() or b""
        os.write(writer, stat.split()[0])
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 100) == str(child).encode()
    os.close(reader)
    files.close()


def test_a_host_without_any_file_tells_nothing(tmp_path: Path) -> None:
    files = HostFiles(tmp_path / "none")
    told = [files.stat(), files.memory(), files.load_average(), files.uptime(), files.faults()]
    assert [*told, files.processes()] == [None] * 6
    assert (files.disks(), files.networks(), files.connections()) == ({}, {}, {})


def test_a_process_without_any_file_tells_nothing(tmp_path: Path) -> None:
    files = ProcessFiles(tmp_path / "none")
    assert (files.stat(), files.io(), files.descriptors()) == (None, None, None)
