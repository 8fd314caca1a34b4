"""The disk tier: what it gives back, what it refuses, how it goes on from a bad file and a bad disk."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tickspan.cache.disk import DiskTier
from tickspan.cache.disk import file as shared_file
from tickspan.cache.disk import pending as queue
from tickspan.cache.disk import tier as module
from tickspan.cache.entry import Level
from tickspan.cache.envelope import Envelope, open_envelope
from tickspan.cache.tiers import (
    NOTHING,
    Bump,
    Bury,
    Claim,
    Erase,
    Found,
    Read,
    Release,
    TierUnavailable,
    Write,
)

NOW_MS = 1_700_000_000_000
TTL_MS = 60_000


class Clock:
    """A time of day that stands still until it is told."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def raw(number: int = 0, *, version: int | None = None, is_tombstone: bool = False, size: int = 0) -> bytes:
    """An envelope whose id is a number."""
    return Envelope(
        number.to_bytes(8), 0, NOW_MS, TTL_MS, TTL_MS, bytes(size), version=version, is_tombstone=is_tombstone
    ).to_bytes()


def identity(number: int) -> bytes:
    return number.to_bytes(8)


def write(key: str, number: int = 0, **more: Any) -> Write:
    version = more.get("version")
    return Write(key, raw(number, version=version), TTL_MS, more.get("expected_id"), version)


Make = Callable[..., DiskTier]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that others use may be slow; who waits for the file does so until it has answered."""
    monkeypatch.setattr(module, "_PATIENCE_S", 10.0)
    monkeypatch.setattr(module, "_ERASING_S", 10.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tier(tmp_path: Path, clock: Clock) -> Generator[Make]:
    """Makes tiers of one folder, closed at the end."""
    made: list[DiskTier] = []

    def make(folder: Path | None = None, **more: Any) -> DiskTier:
        disk = DiskTier(folder or tmp_path / "cache", now_ms=clock, **more)
        made.append(disk)
        return disk

    yield make
    for disk in made:
        disk.close()


def written(disk: DiskTier) -> DiskTier:
    """The same, once the file has everything."""
    assert disk._flush()
    return disk


def values(disk: DiskTier, *keys: str) -> tuple[bytes | None, ...]:
    found = disk.perform(Read(keys))
    assert isinstance(found, Found)
    return found.values


def why(act: Callable[[], object]) -> str:
    with pytest.raises(TierUnavailable) as raised:
        act()
    assert raised.value.level is Level.DISK
    return raised.value.reason


def until(claim: Callable[[], object]) -> None:
    """Wait for another thread, ten seconds at most."""
    done = threading.Event()
    for _ in range(2000):
        if claim():
            return
        done.wait(0.005)
    raise AssertionError("it did not come about within ten seconds")


def held(folder: Path, *statements: str) -> sqlite3.Connection:
    """The file in the hands of another process."""
    other = sqlite3.connect(folder / "cache-1.db", isolation_level=None, check_same_thread=False)
    for statement in statements:
        other.execute(statement)
    return other


# What it gives back.


def test_a_value_is_read_before_and_after_it_is_in_the_file(tier: Make) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    before = values(disk, "k", "other")
    written(disk)
    assert (before, values(disk, "k", "other"), values(tier(), "k")) == (
        (raw(1), None),
        (raw(1), None),
        (raw(1),),
    )


def test_the_thread_writes_what_waits_by_itself(tier: Make) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    until(lambda: disk.statistics().written == 1)
    assert (disk.statistics().pending, disk.statistics().batches) == (0, 1)


def test_a_value_is_gone_when_its_time_is_over(tier: Make, clock: Clock) -> None:
    disk = tier()
    disk.perform(write("file", 1))
    written(disk).perform(write("queue", 2))
    clock.now_ms += TTL_MS - 1
    before = values(disk, "file", "queue")
    clock.now_ms += 1
    assert (before, values(disk, "file", "queue")) == ((raw(1), raw(2)), (None, None))


def test_values_of_every_size_and_number_come_back(tier: Make) -> None:
    disk = tier()
    sizes = {f"k{number}": raw(number, size=number * 37 % 9000) for number in range(1200)}
    for key, value in sizes.items():
        disk.perform(Write(key, value, TTL_MS))
    written(disk)
    assert values(disk, *sizes) == tuple(sizes.values())


@pytest.mark.parametrize("is_written", [False, True], ids=["queue", "file"])
def test_a_lease_stores_only_on_what_it_has_seen(tier: Make, is_written: bool) -> None:
    disk = tier()

    def store(key: str, number: int, expected: bytes) -> object:
        if is_written:
            written(disk)
        return disk.perform(write(key, number, expected_id=expected))

    answers = [
        store("k", 1, NOTHING),
        store("k", 2, NOTHING),
        store("k", 2, identity(9)),
        store("k", 2, identity(1)),
        store("absent", 3, identity(1)),
    ]
    assert (answers, values(written(disk), "k", "absent")) == (
        [True, False, False, True, False],
        (raw(2), None),
    )


@pytest.mark.parametrize("is_written", [False, True], ids=["queue", "file"])
def test_an_older_version_is_refused(tier: Make, is_written: bool) -> None:
    disk = tier()
    answers: list[object] = []
    for number, version in enumerate((5, 4, 5, 2**63 + 1, 7)):
        answers.append(disk.perform(write("k", number, version=version)))
        if is_written:
            written(disk)
    assert (answers, values(disk, "k")) == (
        [True, False, True, True, False],
        (raw(3, version=2**63 + 1),),
    )


def test_what_has_expired_refuses_nobody(tier: Make, clock: Clock) -> None:
    disk = tier()
    for key in ("version", "lease"):
        disk.perform(write(key, 1, version=9))
    written(disk)
    clock.now_ms += TTL_MS
    answers = (
        disk.perform(write("version", 2, version=3)),
        disk.perform(write("lease", 2, expected_id=NOTHING)),
    )
    assert (answers, values(written(disk), "version", "lease")) == (
        (True, True),
        (raw(2, version=3), raw(2)),
    )


# Making void.


def test_a_tombstone_refuses_loads_that_began_before_it_and_older_versions(tier: Make) -> None:
    disk = tier()
    disk.perform(write("k", 1, version=8))
    written(disk)
    disk.perform(Bury(("k", "other"), (raw(7, is_tombstone=True), raw(8, is_tombstone=True)), 1000))
    answers = (
        disk.perform(write("k", 2, expected_id=identity(1))),
        disk.perform(write("k", 2, version=7)),
        disk.perform(write("k", 2, expected_id=identity(7), version=9)),
    )
    stone = values(disk, "other")[0]
    assert stone is not None
    assert (answers, values(written(disk), "k"), open_envelope(stone).is_tombstone) == (
        (False, False, True),
        (raw(2, version=9),),
        True,
    )


def test_other_processes_see_a_tombstone_as_soon_as_it_is_answered(tier: Make) -> None:
    disk, other = tier(), tier()
    disk.perform(write("k", 1))
    written(disk)
    before = values(other, "k")
    disk.perform(Bury(("k",), (raw(7, is_tombstone=True),), 1000))
    assert (before, values(other, "k")) == ((raw(1),), (raw(7, is_tombstone=True),))


def test_epochs_only_grow_for_all_processes(tier: Make) -> None:
    disk, other = tier(), tier()
    numbers = [
        disk.perform(Bump(("a", "b"), 100)),
        other.perform(Bump(("a",), 100)),
        disk.perform(Bump(("a",), 50)),
        disk.perform(Bump(("a",), 500)),
        disk.perform(Bump((), 500)),
    ]
    assert (numbers, other.perform(Read((), ("a", "b", "unknown")))) == (
        [(100, 100), (101,), (102,), (500,), ()],
        Found((), (500, 100, 0)),
    )


def test_a_prefix_is_erased_in_the_queue_and_in_the_file_and_nothing_else_is(tier: Make) -> None:
    disk = tier()
    for key in ("n:r:a", "n:r:b", "n:r2:a", "n:q:a", "n:r:\U0010ffff\U0010ffff"):
        disk.perform(write(key, 1))
    written(disk).perform(write("n:r:c", 2))
    erased = disk.perform(Erase("n:r:"))
    disk.perform(write("n:r:a", 3))
    kept = values(disk, "n:r:a", "n:r:b", "n:r:c", "n:r2:a", "n:q:a", "n:r:\U0010ffff\U0010ffff")
    assert (erased, kept, values(written(disk), "n:r:a")) == (
        3,
        (raw(3), None, None, raw(1), raw(1), None),
        (raw(3),),
    )


def test_a_claim_is_one_process_s_until_it_is_given_back_or_expires(tier: Make, clock: Clock) -> None:
    disk, other = tier(), tier()
    answers = [
        disk.perform(Claim("k", b"us", 1000)),
        other.perform(Claim("k", b"them", 1000)),
        disk.perform(Claim("k", b"us", 1000)),
        other.perform(Release("k", b"them")),
        other.perform(Claim("k", b"them", 1000)),
        disk.perform(Release("k", b"us")),
    ]
    written(disk)
    answers.append(other.perform(Claim("k", b"them", 1000)))
    clock.now_ms += 1000
    answers.append(disk.perform(Claim("k", b"us", 1000)))
    assert answers == [True, False, True, None, False, None, True, True]


def test_two_processes_that_write_at_once_keep_the_newest_version(tier: Make) -> None:
    disk, other = tier(), tier()
    disk.perform(write("k", 1, version=1))
    written(disk)
    answers = disk.perform(write("k", 2, version=2)), other.perform(write("k", 3, version=3))
    written(other)
    written(disk)
    assert (answers, values(disk, "k"), disk.statistics().refused) == (
        (True, True),
        (raw(3, version=3),),
        1,
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        (({"version": 1}, {"version": 3}), {"version": 2}, 2),
        (({"version": 1}, {"version": 3}), {"version": 4}, 9),
        (({"expected_id": NOTHING}, {"version": 3}), {"version": 2}, 2),
        (({"expected_id": NOTHING}, {"version": 3}), {"version": 4}, 9),
        (({"expected_id": NOTHING}, {"expected_id": identity(1)}), {"version": 2}, 9),
        (({}, {"expected_id": identity(1)}), {"version": 2}, 2),
    ],
)
def test_rows_that_wait_are_compared_with_what_others_have_written_meanwhile(
    tier: Make, ours: tuple[dict[str, Any], ...], theirs: dict[str, Any], kept: int
) -> None:
    disk, other = tier(), tier()
    with disk._flushing:
        answers = [disk.perform(write("k", number, **more)) for number, more in enumerate(ours, 1)]
        other.perform(write("k", 9, **theirs))
        written(other)
    (value,) = values(written(disk), "k")
    assert value is not None
    assert (answers, int.from_bytes(value[16:24])) == ([True, True], kept)


# Bounds.


def test_a_full_queue_blocks_nobody_and_lets_no_older_value_live(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    written(disk)
    monkeypatch.setattr(queue, "MOST_ROWS", 1)
    with disk._opening:  # nothing gets into the file meanwhile
        disk._looked_at_s = 0
        disk.perform(write("first", 2))
        reason = why(lambda: disk.perform(write("k", 3)))
        waiting = disk.statistics()
    assert (reason, waiting.dropped, values(disk, "k", "first"), values(written(disk), "k")) == (
        "no_room",
        1,
        (None, raw(2)),
        (None,),
    )


def test_a_file_that_is_too_large_lets_go_of_the_expired_and_then_of_the_oldest(
    tier: Make, clock: Clock
) -> None:
    disk = tier(max_bytes=1_000_000)
    for number in range(200):
        disk.perform(Write(f"expired{number}", raw(number, size=1000), 1000))
    written(disk)
    clock.now_ms += 1000
    for number in range(2000):
        disk.perform(Write(f"k{number}", raw(number, size=1000), TTL_MS))
        if number % 100 == 0:
            disk.perform(Write("k0", raw(0, size=1000), TTL_MS))
            written(disk)
    seen = written(disk).statistics()
    alive = values(disk, "k0", "k1", "k1999")
    assert disk._file is not None
    assert disk._file._used_bytes() <= 1_000_000 + 1_000_000 // 16
    assert (seen.expired, 1000 < seen.aged < 2000, [value is not None for value in alive]) == (
        200,
        True,
        [True, False, True],
    )


def test_epochs_are_forgotten_only_when_no_older_value_is_left(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan.cache.disk.file._MANY_EPOCHS", 1)
    disk = tier(max_bytes=100_000)
    disk.perform(Bump(("old",), NOW_MS - 1))
    disk.perform(Bump(("new",), NOW_MS + 1))
    for number in range(300):
        disk.perform(Write(f"k{number}", raw(number, size=1000), TTL_MS))
    written(disk)
    assert disk.perform(Read((), ("old", "new"))) == Found((), (0, NOW_MS + 1))


# The file and its folder.


def test_folder_and_files_are_the_owner_s_alone(tier: Make, tmp_path: Path) -> None:
    disk = tier(tmp_path / "deep" / "cache")
    disk.perform(write("k", 1))
    written(disk)
    folder = tmp_path / "deep" / "cache"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"cache": 0o700, "cache-1.db": 0o600, "cache-1.db-wal": 0o600, "cache-1.db-shm": 0o600}


def test_a_file_that_others_could_read_is_closed_to_them(tier: Make, tmp_path: Path) -> None:
    first = tier()
    first.perform(write("k", 1))
    first.close()
    (tmp_path / "cache" / "cache-1.db").chmod(0o644)
    assert (values(tier(), "k"), stat.S_IMODE((tmp_path / "cache" / "cache-1.db").stat().st_mode)) == (
        (raw(1),),
        0o600,
    )


def test_a_folder_that_others_may_write_is_not_used(tier: Make, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert why(lambda: values(tier(), "k")) == "not_allowed"


def test_a_link_in_place_of_the_file_is_not_followed(tier: Make, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / "cache-1.db").symlink_to(tmp_path / "elsewhere")
    assert (why(lambda: values(tier(), "k")), (tmp_path / "elsewhere").exists()) == ("not_allowed", False)


def test_a_damaged_file_is_moved_aside_and_begun_anew(tier: Make, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    (folder / "cache-1.db").write_bytes(b"this is no database, and was never one" * 200)
    disk = tier()
    reason = why(lambda: values(disk, "k"))
    disk.perform(write("k", 1))
    kept = values(written(disk), "k")
    assert (reason, kept, disk.statistics().damaged_files, (folder / "cache-1.db.damaged").exists()) == (
        "damaged",
        (raw(1),),
        1,
        True,
    )


def test_a_file_that_is_damaged_while_it_is_open_is_moved_aside(tier: Make, tmp_path: Path) -> None:
    disk = tier()
    for number in range(300):
        disk.perform(write(f"k{number}", number))
    written(disk)
    assert disk._file is not None
    disk._file._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "cache" / "cache-1.db"
    path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
    disk._file.close()
    disk._file = None
    reason = why(lambda: values(disk, "k1"))
    assert (reason, values(disk, "k1"), disk.statistics().damaged_files) == ("damaged", (None,), 1)


def test_a_file_that_was_taken_away_is_noticed_and_made_anew(tier: Make, tmp_path: Path) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    written(disk)
    (tmp_path / "cache" / "cache-1.db").rename(tmp_path / "away")
    disk._looked_at_s = 0
    before = values(disk, "k")
    disk.perform(write("k", 2))
    assert (before, values(tier(), "k"), values(written(disk), "k"), values(tier(), "k")) == (
        (None,),
        (None,),
        (raw(2),),
        (raw(2),),
    )


# A tier that is off.


def test_a_disk_that_cannot_share_a_log_switches_the_tier_off(tier: Make) -> None:
    disk = tier(vfs="unix-dotfile")
    reason = why(lambda: values(disk, "k"))
    again = why(lambda: disk.perform(write("k", 1)))
    assert (reason, again, disk.is_available, disk.statistics().reason) == (
        "no_write_ahead_log",
        "no_write_ahead_log",
        False,
        "no_write_ahead_log",
    )


def test_a_disk_of_the_network_is_not_used(tier: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def networked(_path: Path) -> str:
        return "nfs4"

    monkeypatch.setattr("tickspan.cache.disk.file.file_system", networked)
    assert why(lambda: values(tier(), "k")) == "network_disk"


def test_a_value_may_live_longer_than_numbers_of_the_file_can_tell(tier: Make) -> None:
    disk = tier()
    disk.perform(Write("k", raw(1), 2**64))
    assert values(written(disk), "k") == (raw(1),)


def full(disk: DiskTier) -> sqlite3.Connection:
    """The disk lets the file grow no further."""
    assert disk._file is not None
    writer = disk._file._writer
    writer.execute("PRAGMA max_page_count = 1")
    return writer


def test_a_full_disk_switches_the_tier_off_and_it_comes_back_without_what_was_changed(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 60.0)
    disk = tier()
    for key in ("kept", "lost", "changed", "n:r:erased", "buried"):
        disk.perform(write(key, 1))
    written(disk)
    full(disk)
    disk.perform(Write("lost", raw(2, size=100_000), TTL_MS))
    is_written = disk._flush()
    off = disk.is_available, disk.statistics().reason
    reasons = {
        why(lambda request=request: disk.perform(request))
        for request in (
            write("changed", 2),
            write("changed", 2, expected_id=identity(1)),
            Read(("kept",)),
            Bury(("buried",), (raw(7, is_tombstone=True),), 1000),
            Erase("n:r:"),
            Bump(("tag",), 100),
            Claim("k", b"us", 1000),
        )
    }
    disk._retry_at_s = 0
    known = values(disk, "kept", "lost", "changed", "n:r:erased", "buried")
    written(disk)
    seen = disk.statistics()
    assert (is_written, off, reasons) == (False, (False, "disk_full"), {"disk_full"})
    assert known == (raw(1), None, None, None, raw(7, is_tombstone=True))
    assert values(tier(), "kept", "lost", "changed", "n:r:erased", "buried") == known
    assert (disk.perform(Read((), ("tag",))), seen.dropped, seen.is_available) == (Found((), (100,)), 3, True)


def test_a_tier_that_is_off_is_tried_again_by_itself(tier: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    disk = tier()
    disk.perform(write("k", 1))
    written(disk)
    full(disk)
    disk._again_s = 0.01
    disk.perform(Write("k", raw(2, size=100_000), TTL_MS))
    until(lambda: disk.statistics().dropped == 1 and disk.statistics().pending == 0)
    assert (disk.is_available, values(disk, "k")) == (True, (None,))


def test_a_file_that_another_process_locks_is_waited_for_briefly_and_written_later(
    tier: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    disk = tier()
    disk.perform(write("k", 1))
    written(disk)
    other = sqlite3.connect(tmp_path / "cache" / "cache-1.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = (
        disk.perform(Bury(("k",), (raw(7, is_tombstone=True),), 1000)),
        disk.perform(Bump(("tag",), 100)),
        disk.perform(Claim("k", b"us", 1000)),
        values(disk, "k"),
        disk.perform(Read((), ("tag",))),
    )
    other.execute("COMMIT")
    other.close()
    until(lambda: disk.statistics().pending == 0)
    assert (answers, values(tier(), "k")) == (
        (None, (100,), True, (raw(7, is_tombstone=True),), Found((), (100,))),
        (raw(7, is_tombstone=True),),
    )


def test_a_closed_tier_has_written_everything_and_says_no(tier: Make) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    disk.close()
    disk.close()
    reasons = {why(lambda: disk.perform(write("k", 2))), why(lambda: values(disk, "k"))}
    assert (reasons, disk.is_available, values(tier(), "k")) == ({"closed"}, False, (raw(1),))


def test_a_new_file_that_another_process_is_making_is_waited_for(tier: Make, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    other = held(folder, "CREATE TABLE half_made (name)", "BEGIN", "INSERT INTO half_made VALUES (1)")
    letting_go = threading.Timer(0.05, other.close)
    letting_go.start()
    found = values(tier(folder), "k")
    letting_go.join()
    assert found == (None,)


def test_the_last_writing_waits_for_a_file_that_another_process_locks(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "_WRITE_PATIENCE_S", 0.0)
    disk = tier()
    disk.perform(write("k", 1))
    other = held(written(disk).folder, "BEGIN IMMEDIATE")
    disk.perform(write("k", 2))
    letting_go = threading.Timer(0.05, other.close)
    letting_go.start()
    disk.close()
    letting_go.join()
    assert (disk.statistics().dropped, values(tier(), "k")) == (0, (raw(2),))


def test_what_a_file_that_stays_locked_has_not_taken_at_the_end_is_lost_and_counted(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "_WRITE_PATIENCE_S", 0.0)
    monkeypatch.setattr(module, "_CLOSING_S", 0.05)
    disk = tier()
    disk.perform(write("k", 1))
    other = held(written(disk).folder, "BEGIN IMMEDIATE")
    disk.perform(write("k", 2))
    disk.close()
    other.close()
    assert (disk.statistics().dropped, values(tier(), "k")) == (1, (raw(1),))


# For event loops.


def test_waiting_for_the_file_leaves_the_event_loop_to_others(tier: Make) -> None:
    async def run() -> None:
        disk = tier()
        await disk.perform_async(write("k", 1))
        waiting = await disk.perform_async(Read(("k", "other")))
        written(disk)
        answers = await asyncio.gather(
            *(disk.perform_async(Read((key,))) for key in ("k", "missing")),
            disk.perform_async(write("k", 2, expected_id=identity(1))),
            disk.perform_async(Bump(("tag",), 100)),
            disk.perform_async(Bury(("other",), (raw(7, is_tombstone=True),), 1000)),
            disk.perform_async(Claim("k", b"us", 1000)),
            disk.perform_async(Release("k", b"us")),
            disk.perform_async(Erase("nothing:")),
        )
        assert (waiting, answers) == (
            Found((raw(1), None)),
            [Found((raw(1),)), Found((None,)), True, (100,), None, True, None, 0],
        )

    asyncio.run(run())


def test_a_cancelled_call_harms_no_other(tier: Make) -> None:
    async def run() -> None:
        disk = tier()
        disk.perform(write("k", 1))
        written(disk)
        calls = [asyncio.ensure_future(disk.perform_async(Read(("k",)))) for _ in range(50)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[1::2] == [Found((raw(1),))] * 25

    asyncio.run(run())


def test_more_calls_than_may_wait_are_refused_and_make_void(
    tier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(module, "_MOST_JOBS", 0)
        disk = tier()
        disk.perform(write("k", 1))
        written(disk)
        with pytest.raises(TierUnavailable, match="queue_full"):
            await disk.perform_async(Read(("k",)))
        with pytest.raises(TierUnavailable, match="queue_full"):
            await disk.perform_async(write("k", 2, version=2))
        assert values(disk, "k") == (None,)

    asyncio.run(run())


def test_who_waits_when_the_tier_is_closed_is_told(tier: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSING_S", 0.05)

    async def run() -> None:
        disk = tier()
        disk.perform(write("k", 1))
        written(disk)
        disk._looked_at_s = 0
        with disk._opening:  # the file is not reached
            first = asyncio.ensure_future(disk.perform_async(Read(("k",))))
            second = asyncio.ensure_future(disk.perform_async(Read(("k",))))
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, disk.close)
            with pytest.raises(TierUnavailable, match="closed"):
                await second
        await asyncio.wait((first,))
        assert isinstance(first.exception(), TierUnavailable)

    asyncio.run(run())


# What humans see.


def test_the_tier_shows_its_state(tier: Make, tmp_path: Path) -> None:
    disk = tier()
    disk.perform(write("k", 1))
    values(disk, "k", "other")
    assert repr(disk) == (
        f"<DiskTier {tmp_path / 'cache'} <DiskStatistics available, 0.0 MiB, 0 written,"
        f" 1 pending, 0 dropped, 1 found, 1 missing>>"
    )
