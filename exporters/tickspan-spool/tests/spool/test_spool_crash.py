"""Death at every store and system call of create, append, roll, acknowledge and unlink."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import folder, fork, home, mapping, segment, spool, track
from tickspan_spool.ledger import Ledger

_CALLS = ("open", "fchmod", "write", "pwrite", "posix_fallocate", "close")
_PATH_CALLS = ("mkdir", "chmod", "rename", "unlink")


def _arm(steps: Any, kit: Any) -> None:
    """In a child: every system call of the spool, and every store into a mapped file, is a step."""
    for module in (spool, track, folder):
        module.segment = segment  # type: ignore[attr-defined]
    for name in _CALLS:
        setattr(os, name, steps.before(getattr(os, name)))
    for name in _PATH_CALLS:
        setattr(Path, name, steps.before(getattr(Path, name)))
    original = mapping.Mapping

    class Stepping(original):
        def __init__(self, fd: int, size: int) -> None:
            super().__init__(fd, size)
            self.view = kit.view(self.view, steps)

    home.FileMapping = Stepping  # type: ignore[misc]


def _record(bench: Any, kit: Any, steps: Any, log: int) -> None:
    """Create, append, roll twice; what append returned from is written down outside of the spool."""
    write = os.write
    _arm(steps, kit)
    fork.fork()
    made = bench.spool()
    made._keeper.wake = lambda: None
    stream = made.stream(kit.key)
    for number in range(10):
        stream.append(b"%02d" % number + b"x" * 20_000)
        write(log, b"%02d" % number)
    made.close(0)


def _writes_until_death(bench: Any, kit: Any, fatal: int, log: Path) -> tuple[int, list[bytes]]:
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    status = kit.child(lambda: _record(bench, kit, kit.steps(fatal), fd)).wait()
    os.close(fd)
    text = log.read_bytes()
    return status, [text[at : at + 2] for at in range(0, len(text), 2)]


@pytest.mark.parametrize("first", range(0, 160, 10))
def test_a_writer_may_die_at_any_step(bench: Any, kit: Any, tmp_path: Path, first: int):
    for fatal in range(first, first + 10):
        bench.directory = tmp_path / f"spool-{fatal}"
        status, ended = _writes_until_death(bench, kit, fatal, tmp_path / f"log-{fatal}")
        folders = bench.folders()
        received = [body[:2] for reader in folders for body in kit.bodies(kit.deliver(reader))]
        ledgers = [kit.traces(reader) for reader in folders]

        assert status in {kit.died, 0}
        assert received[: len(ended)] == ended
        assert len(received) <= len(ended) + 1
        assert [ledger.delivered for ledger in ledgers] in ([], [len(received)])
        assert all(ledger.is_balanced and not ledger.in_spool for ledger in ledgers)
        assert all(ledger.ended == len(received) for ledger in ledgers)
        assert not list((bench.directory / "v1").glob("quarantine/*"))


def test_the_last_step_is_tried(bench: Any, kit: Any, tmp_path: Path):
    status, ended = _writes_until_death(bench, kit, 160, tmp_path / "log")

    assert (status, len(ended)) == (0, 10)


def _settle(bench: Any, kit: Any, steps: Any, log: int) -> None:
    write = os.write
    reader = bench.folder()
    way = reader.track("traces", 0)
    _arm(steps, kit)
    while batch := way.read(2):
        write(log, b"".join(entry.body[:2] for entry in batch))
        way.acknowledge(batch, len(batch), {})


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_a_reader_may_die_at_any_step(bench: Any, kit: Any, tmp_path: Path, first: int):
    sent = [b"%02d" % number for number in range(10)]
    for fatal in range(first, first + 10):
        bench.directory = tmp_path / f"spool-{fatal}"
        kit.child(lambda: [bench.spool().stream(kit.key)] and _plain(bench, kit, sent)).wait()
        log = tmp_path / f"log-{fatal}"
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        status = kit.child(lambda fatal=fatal, fd=fd: _settle(bench, kit, kit.steps(fatal), fd)).wait()
        os.close(fd)
        text = log.read_bytes()
        before = [text[at : at + 2] for at in range(0, len(text), 2)]
        reader = bench.folder()
        after = [body[:2] for body in kit.bodies(kit.deliver(reader))]

        assert status in {kit.died, 0}
        assert sorted(set(before + after)) == sent
        assert len(before + after) <= len(sent) + 2
        assert kit.traces(reader) == Ledger(10, 10, 0, {})


def _plain(bench: Any, kit: Any, sent: list[bytes]) -> None:
    stream = bench.spool().stream(kit.key)
    for mark in sent:
        stream.append(mark + b"x" * 20_000)


def test_a_kill_in_the_midst_of_recording_loses_nothing_that_ended(bench: Any, kit: Any):
    read, write = os.pipe()

    def work() -> None:
        stream = bench.spool().stream(kit.key)
        number = 0
        while True:
            stream.append(b"%d" % number + b"x" * 500)
            number += 1
            if number == 2000:
                os.write(write, b"go on")

    child = kit.child(work)
    os.read(read, 5)
    status = child.kill()
    (reader,) = bench.folders()
    received = kit.bodies(kit.deliver(reader))

    assert status == -9
    assert received == [b"%d" % number + b"x" * 500 for number in range(len(received))]
    assert len(received) >= 2000
    assert kit.traces(reader) == Ledger(len(received), len(received), 0, {})
    os.close(read)
    os.close(write)
