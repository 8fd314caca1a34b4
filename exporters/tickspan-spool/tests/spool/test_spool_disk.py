from __future__ import annotations

import errno
import logging
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import home
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason

pytestmark = pytest.mark.usefixtures("form")


class Refusal:
    """Stands for a system call, and fails as long as it is told to."""

    def __init__(self, function: Any, number: int) -> None:
        self.function = function
        self.number = number
        self.is_on = True

    def __call__(self, *arguments: Any) -> Any:
        if self.is_on:
            raise OSError(self.number, os.strerror(self.number), "/disk")
        return self.function(*arguments)


def _quiet(bench: Any, **changes: Any) -> Any:
    """A spool whose keeper looks when the test says so."""
    made = bench.spool(**changes)
    made._keeper.wake = lambda: None
    return made


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.EFBIG, errno.ENOENT]
)
def test_records_wait_in_memory_while_the_disk_refuses(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, number: int
):
    refusal = Refusal(home.create_file, number)
    monkeypatch.setattr(home, "create_file", refusal)
    spool = _quiet(bench)
    for text in (b"0", b"1"):
        spool.stream(kit.key).append(text)
    spool._keeper.look()
    modes = [spool.statistics().mode]
    refusal.is_on = False
    spool._keeper.look()
    spool.stream(kit.key).append(b"2")
    modes.append(spool.statistics().mode)
    reader = bench.folder()

    assert modes == ["ring", "disk"]
    assert kit.bodies(kit.deliver(reader)) == [b"0", b"1", b"2"]
    assert kit.traces(reader) == Ledger(3, 3, 0, {})


def test_a_disk_that_fills_up_later_costs_nothing_within_the_bound(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
):
    spool = _quiet(bench)
    refusal = Refusal(os.posix_fallocate, errno.ENOSPC)
    refusal.is_on = False
    monkeypatch.setattr(os, "posix_fallocate", refusal)
    sent = [b"%03d" % number + b"x" * 1000 for number in range(200)]
    for record in sent[:100]:
        spool.stream(kit.key).append(record)
    refusal.is_on = True
    for record in sent[100:]:
        spool.stream(kit.key).append(record)
    ringed = len(spool._stock.ring)
    refusal.is_on = False
    spool._keeper.look()
    reader = bench.folder()

    assert 0 < ringed < 100
    assert kit.bodies(kit.deliver(reader)) == sent
    assert kit.traces(reader) == Ledger(200, 200, 0, {})


def test_the_oldest_records_make_room_in_memory_and_are_counted(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
):
    refusal = Refusal(home.create_file, errno.EROFS)
    monkeypatch.setattr(home, "create_file", refusal)
    spool = _quiet(bench, ring_records=3)
    for number in range(5):
        spool.stream(kit.key).append(b"%d" % number, 2)
    dropped = spool.statistics().dropped["traces"]
    refusal.is_on = False
    spool._keeper.look()
    reader = bench.folder()

    assert dropped == {Reason.RING_FULL: 4}
    assert [(entry.body, entry.sequence) for entry in kit.deliver(reader)] == [
        (b"2", 4),
        (b"3", 6),
        (b"4", 8),
    ]
    assert kit.traces(reader) == Ledger(10, 6, 0, {Reason.RING_FULL: 4})


def test_a_refusal_is_said_once(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(home, "create_file", Refusal(home.create_file, errno.EROFS))
    spool = _quiet(bench)
    with caplog.at_level(logging.INFO, "tickspan_spool"):
        spool.stream(kit.key).append(b"x")
        spool._keeper.look()
        spool._keeper.look()

    assert caplog.messages == [
        "telemetry waits in memory: /disk: Read-only file system; the disk is tried again every second"
    ]


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_directory_that_others_can_write_is_refused(bench: Any, kit: Any, mode: int):
    bench.directory.mkdir()
    bench.directory.chmod(mode)
    spool = _quiet(bench)
    spool.stream(kit.key).append(b"x")

    assert spool.statistics().mode == "ring"
    assert list(bench.directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(bench: Any, kit: Any):
    bench.directory.mkdir(mode=0o700)
    os.chown(bench.directory, 12345, 12345)
    spool = _quiet(bench)
    spool.stream(kit.key).append(b"x")

    assert spool.statistics().mode == "ring"
    assert list(bench.directory.iterdir()) == []


def test_a_link_in_place_of_the_directory_is_refused(bench: Any, kit: Any, tmp_path: Any):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    bench.directory.symlink_to(tmp_path / "elsewhere")
    spool = _quiet(bench)
    spool.stream(kit.key).append(b"x")

    assert spool.statistics().mode == "ring"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_size_limit_is_a_refusing_disk(bench: Any, kit: Any):
    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, 16 << 10))
        spool = _quiet(bench)
        spool.stream(kit.key).append(b"x")
        assert spool.statistics().mode == "ring"

    assert kit.child(work).wait() == 0


def test_the_reserve_of_the_disk_is_left_alone(bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch):
    def nearly_full(_path: Path) -> int:
        return 1000

    monkeypatch.setattr(home, "free_bytes", nearly_full)
    spool = _quiet(bench)
    spool.stream(kit.key).append(b"x")

    assert spool.statistics().mode == "ring"


def test_a_removed_folder_is_replaced(bench: Any, kit: Any, caplog: pytest.LogCaptureFixture):
    spool = _quiet(bench)
    stream = spool.stream(kit.key)
    stream.append(b"lost with the folder")
    first = spool.path
    shutil.rmtree(bench.directory)
    spool._keeper.look()
    stream.append(b"after")
    reader = bench.folder()

    assert spool.path != first
    assert kit.bodies(kit.deliver(reader)) == [b"after"]
    assert kit.traces(reader) == Ledger(1, 1, 0, {})
    assert spool.statistics().ended["traces"] == 2
    assert caplog.messages == [f"{first} was removed; the records in it are lost"]


def test_without_a_safe_map_records_are_written_by_system_calls(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(home, "MAPPABLE", frozenset[str]())
    spool = _quiet(bench)
    sent = [b"%03d" % number + b"x" * 1000 for number in range(200)]
    for record in sent:
        spool.stream(kit.key).append(record)
    spool.drop("traces", Reason.FILTERED, 3)
    spool._keeper.look()
    reader = bench.folder()

    assert kit.bodies(kit.deliver(reader)) == sent
    assert kit.traces(reader) == Ledger(203, 200, 0, {Reason.FILTERED: 3})


def test_a_descriptor_that_became_somebody_elses_is_not_written_to(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    monkeypatch.setattr(home, "MAPPABLE", frozenset[str]())
    spool = _quiet(bench)
    stream = spool.stream(kit.key)
    stream.append(b"before")
    victim = os.open(tmp_path / "socket", os.O_RDWR | os.O_CREAT)
    os.dup2(victim, spool._stock.home.first._fd)
    stream.append(b"after")
    reader = bench.folder()

    assert kit.bodies(kit.deliver(reader)) == [b"before", b"after"]
    assert (tmp_path / "socket").read_bytes() == b""
    os.close(victim)


def test_memory_can_be_sent_from_while_the_disk_refuses(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
):
    refusal = Refusal(home.create_file, errno.EROFS)
    monkeypatch.setattr(home, "create_file", refusal)
    spool = _quiet(bench)
    for number in range(4):
        spool.stream(kit.key).append(b"%d" % number)
    track = spool.ring_track("traces")
    batch = track.read(2)
    track.acknowledge(batch, 1, {Reason.REJECTED: 1})
    is_flushed = [spool.force_flush(0)]
    refusal.is_on = False
    spool._keeper.look()
    reader = bench.folder()
    rest = kit.bodies(kit.deliver(reader))
    is_flushed.append(spool.force_flush(0))

    assert kit.bodies(batch) == [b"0", b"1"]
    assert rest == [b"2", b"3"]
    assert kit.traces(reader) == Ledger(4, 3, 0, {Reason.REJECTED: 1})
    assert is_flushed == [False, True]
