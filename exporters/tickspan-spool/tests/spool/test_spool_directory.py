from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.directory import Bound, SpoolDirectory
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason

pytestmark = pytest.mark.usefixtures("form")


def _die(bench: Any, kit: Any, records: int = 3, *, clean: bool = False, size: int = 10) -> None:
    def work() -> None:
        made = bench.spool()
        made._keeper.wake = lambda: None
        stream = made.stream(kit.key)
        for number in range(records):
            stream.append(b"%03d" % number + b"x" * size)
        if clean:
            made.close(0)

    assert kit.child(work).wait() == 0


def test_one_reader_claims_a_folder_at_a_time(bench: Any, kit: Any):
    _die(bench, kit)
    (first,), (second,) = bench.folders(), bench.folders()

    claims = [first.claim(), first.claim(), second.claim()]
    first.release()
    claims.append(second.claim())

    assert claims == [True, True, False, True]
    second.release()


def test_a_process_that_said_goodbye_is_told_from_one_that_did_not(bench: Any, kit: Any):
    _die(bench, kit, clean=True)
    _die(bench, kit)

    assert sorted(folder.has_exited_cleanly for folder in bench.folders()) == [False, True]


def test_the_account_of_a_gone_process_is_added_once(bench: Any, kit: Any):
    _die(bench, kit)
    directory = SpoolDirectory(bench.directory)
    (reader,) = directory.folders()
    kit.deliver(reader)

    directory.fold(reader)
    directory.fold(reader)

    assert directory.folders() == []
    assert not reader.path.exists()
    assert directory.totals()["traces"] == Ledger(3, 3, 0, {})


def test_a_death_between_folding_and_removing_does_not_count_twice(bench: Any, kit: Any):
    _die(bench, kit)
    directory = SpoolDirectory(bench.directory)
    (reader,) = directory.folders()
    kit.deliver(reader)
    reader.remove = lambda: None
    directory.fold(reader)

    later = SpoolDirectory(bench.directory)
    (found,) = later.folders()
    later.fold(found)

    assert later.totals()["traces"] == Ledger(3, 3, 0, {})
    assert later.folders() == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"folded": [], "signals": {}}', b"\xff"])
def test_damaged_totals_are_put_aside(bench: Any, content: bytes):
    (bench.directory / "v1").mkdir(parents=True)
    (bench.directory / "v1" / "totals.json").write_bytes(content)
    directory = SpoolDirectory(bench.directory)

    assert directory.totals()["traces"] == Ledger()
    assert directory.quarantined == 1


def test_what_a_death_left_half_made_is_cleared(bench: Any, kit: Any):
    _die(bench, kit)
    (reader,) = bench.folders()
    half = reader.path.with_name("1-2-0123abcd.new")
    half.mkdir()
    (half / "lock").touch()
    gone = reader.path.with_name("1-2-0123abcd.gone")
    gone.mkdir()

    assert [folder.path for folder in bench.folders()] == [reader.path]
    assert not half.exists()
    assert not gone.exists()


def test_unknown_names_are_left_alone(bench: Any, kit: Any):
    _die(bench, kit)
    (bench.directory / "v2").mkdir()
    (bench.directory / "v1" / "agents").mkdir()

    assert len(bench.folders()) == 1
    assert (bench.directory / "v2").is_dir()
    assert (bench.directory / "v1" / "agents").is_dir()


def test_the_bound_takes_letters_then_quarantine_then_the_oldest_segments(bench: Any, kit: Any):
    _die(bench, kit, 200, size=1000)
    directory = SpoolDirectory(bench.directory)
    for folder, name in (("dead", "1-traces-a.letter"), ("quarantine", "1-x")):
        (directory.root / folder).mkdir()
        (directory.root / folder / name).write_bytes(bytes(8192))
    (reader,) = directory.folders()
    first = reader.segments()[0]
    lost_with_it = reader.count_items(first, reader.track("traces", 0)._place, 0)[0]

    given_up = directory.enforce_bound(directory.size_bytes() - 20_000)

    assert given_up == Bound(1, 1, {"traces": lost_with_it})
    assert reader.segments()[0] == first + 1
    received = kit.deliver(reader)
    assert kit.traces(reader) == Ledger(200, len(received), 0, {Reason.DISK_BOUND: lost_with_it})


def test_the_segment_that_is_written_is_never_given_up(bench: Any, kit: Any):
    spool = bench.spool()
    for number in range(100):
        spool.stream(kit.key).append(b"%03d" % number + b"x" * 1000)
    directory = SpoolDirectory(bench.directory)
    (reader,) = directory.folders()

    directory.enforce_bound(0)
    spool.stream(kit.key).append(b"later")
    received = kit.bodies(kit.deliver(reader))

    assert received[-1] == b"later"
    assert kit.traces(reader) == Ledger(101, len(received), 0, {Reason.DISK_BOUND: 101 - len(received)})
    assert spool._stock.page[256 + 1] == 101 - len(received)


def test_a_batch_whose_segment_was_given_up_under_way_is_counted_once(bench: Any, kit: Any):
    _die(bench, kit, 100, size=1000)
    directory = SpoolDirectory(bench.directory)
    (reader,) = directory.folders()
    track = reader.track("traces", 0)
    under_way = track.read(5)

    lost = reader.drop_segment(reader.segments()[0])
    track.acknowledge(under_way, 5, {})
    received = kit.deliver(reader)

    assert kit.traces(reader) == Ledger(100, len(received), 0, {Reason.DISK_BOUND: lost["traces"]})


def test_old_segments_expire_by_the_monotonic_clock(bench: Any, kit: Any):
    _die(bench, kit)
    now = [1000.0]
    directory = SpoolDirectory(bench.directory, clock=lambda: now[0])
    directory.expire(60)
    now[0] += 59
    early = directory.expire(60)
    now[0] += 2
    late = directory.expire(60)
    (reader,) = directory.folders()
    kit.deliver(reader)

    assert (early, late) == ({}, {"traces": 3})
    assert kit.traces(reader) == Ledger(3, 0, 0, {Reason.EXPIRED: 3})


def test_spans_that_were_pending_when_their_process_died_are_told_of(bench: Any, kit: Any):
    def work() -> None:
        made = bench.spool()
        stream = made.stream(kit.key)
        stream.pending(b"settled.", b"one")
        stream.pending(b"pending.", b"two")
        stream.append(b"settled span")
        stream.settled(b"settled.")

    assert kit.child(work).wait() == 0
    (reader,) = bench.folders()

    assert reader.abandoned() == [(kit.key, b"two")]
    kit.deliver(reader)
    assert kit.traces(reader) == Ledger(1, 1, 0, {})


def test_pending_spans_outlive_their_segment(bench: Any, kit: Any):
    def work() -> None:
        made = bench.spool()
        stream = made.stream(kit.key)
        stream.pending(b"pending.", b"two")
        for _ in range(300):
            stream.append(b"x" * 1000)

    assert kit.child(work).wait() == 0
    (reader,) = bench.folders()
    kit.deliver(reader)
    (later,) = bench.folders()

    assert 1 not in later.segments()
    assert later.abandoned() == [(kit.key, b"two")]


def test_a_process_that_ends_in_order_abandons_nothing(bench: Any, kit: Any):
    def work() -> None:
        made = bench.spool()
        made.stream(kit.key).pending(b"pending.", b"two")
        made.close(0)

    assert kit.child(work).wait() == 0
    (reader,) = bench.folders()

    assert reader.abandoned() == []


def test_a_zombie_is_dead(bench: Any, kit: Any):
    child = kit.child(lambda: bench.spool().stream(kit.key).append(b"x"))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (reader,) = bench.folders()

    assert not reader.is_alive()
    child.wait()


def test_foreign_files_of_a_removed_folder_are_put_aside(bench: Any, kit: Any):
    _die(bench, kit)
    directory = SpoolDirectory(bench.directory)
    (reader,) = directory.folders()
    (reader.path / "notes.txt").write_text("mine")
    kit.deliver(reader)

    directory.fold(reader)
    (aside,) = (directory.root / "quarantine").iterdir()

    assert aside.read_text() == "mine"
    assert not reader.path.exists()


def test_a_signal_that_nobody_wants_is_filtered(bench: Any, kit: Any, tmp_path: Path):
    spool = bench.spool(destinations=())
    spool.stream(kit.key).append(b"x")
    reader = bench.folder()

    assert kit.traces(reader) == Ledger(1, 0, 0, {Reason.FILTERED: 1})
