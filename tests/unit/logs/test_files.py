"""Files: one writer, rotation, what a bad disk does, and what is kept."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tickspan.config import LogRotation
from tickspan.logs import files as files_module
from tickspan.logs.archive import compress, index_path
from tickspan.logs.codec import of_suffix
from tickspan.logs.files import FileRules, LogFiles
from tickspan.logs.names import files_in
from tickspan.logs.sessions import check_session

NOON_S = 1_795_694_400.0
"""2026-11-26T12:00:00Z."""


class Clock:
    """The wall clock, which a test may step."""

    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rules(tmp_path: Path) -> FileRules:
    return FileRules(tmp_path / "logs", "oms", max_file_bytes=100, backup_count=0)


def line(number: int) -> bytes:
    return b'{"time":"2026-11-26T12:00:00.%06dZ","fields":{"order_id":"o-%d"},"uid":"7-%d"}\n' % (
        number,
        number,
        number,
    )


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def full_disk(*_arguments: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def names(rules: FileRules) -> list[str]:
    return sorted(path.name for path in rules.directory.iterdir() if not path.name.endswith(".lock"))


def crashed(files: LogFiles, clock: Clock) -> LogFiles:
    """Who starts after it was killed: the kernel has let go of its lock."""
    files.claim.release()
    return LogFiles(files.rules, clock)


def text_of(rules: FileRules) -> bytes:
    """All lines in the order of the files."""
    found: list[bytes] = []
    for name in files_in(rules.directory):
        data = name.path.read_bytes()
        found.append(of_suffix(name.suffix).decompress(data, None) if name.suffix else data)
    return b"".join(found)


def test_lines_go_into_a_private_file_named_by_start_and_number(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    assert files.write([line(1)])
    assert names(rules) == ["oms-20261126T120000Z-000001.jsonl"]
    path = rules.directory / "oms-20261126T120000Z-000001.jsonl"
    assert (path.read_bytes(), path.stat().st_mode & 0o777, rules.directory.stat().st_mode & 0o777) == (
        line(1),
        0o600,
        0o700,
    )


def test_a_file_that_is_full_is_followed_by_the_next_and_no_line_is_cut(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 6)])
    assert [name.number for name in files_in(rules.directory)] == [1, 2, 3]
    assert text_of(rules) == b"".join(line(number) for number in range(1, 6))


def test_each_day_has_a_file_of_its_own(rules: FileRules, clock: Clock):
    files = LogFiles(replace(rules, rotate=LogRotation.DAILY, max_file_bytes=1 << 20), clock)
    files.write([line(1)])
    files.write([line(2)])
    clock.now_s += 86_400
    files.write([line(3)])
    assert names(rules) == ["oms-20261126T120000Z-000001.jsonl", "oms-20261127T120000Z-000002.jsonl"]


def test_each_session_has_a_file_of_its_own(rules: FileRules, clock: Clock):
    files = LogFiles(replace(rules, rotate=LogRotation.SESSION, max_file_bytes=1 << 20), clock)
    for number in (1, 2):
        files.begin_session()
        files.write([line(number)])
        files.write([line(number)])
    assert [name.path.read_bytes() for name in files_in(rules.directory)] == [line(1) * 2, line(2) * 2]


def test_a_trading_session_has_a_file_of_its_own_also_after_a_restart(rules: FileRules, clock: Clock):
    hours = "mon-fri 09:30-16:00 America/New_York"  # 14:30 UTC; it is Thursday noon
    rules = replace(rules, rotate=LogRotation.SESSION, session=hours, max_file_bytes=1 << 20)
    files = LogFiles(rules, clock)
    files.write([line(1)])
    clock.now_s += 2.4 * 3_600
    files = crashed(files, clock)
    files.begin_session()
    files.write([line(2)])
    clock.now_s += 0.2 * 3_600
    files.write([line(3)])
    clock.now_s += 20 * 3_600  # Friday morning, before the opening
    files.write([line(4)])
    clock.now_s += 4 * 3_600
    files = crashed(files, clock)
    files.write([line(5)])
    clock.now_s += 2.5 * 86_400  # Monday, before the opening
    files.write([line(6)])
    assert [name.path.read_bytes() for name in files_in(rules.directory)] == [
        line(1) + line(2),
        line(3) + line(4),
        line(5) + line(6),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("always", "expected days, hours and a zone, such as 'mon-fri 09:30-16:00 America/New_York'"),
        ("mon-fri 9-16 UTC", "expected a time of day like '08:00', got"),
        ("mon-fry 09:00-16:00", "expected days like 'mon-fri', got"),
        ("mon-fri 09:00-16:00 Mars/Base", "expected a zone like 'Europe/Zurich', got"),
    ],
)
def test_what_is_no_session_is_told(text: str, expected: str):
    with pytest.raises(ValueError, match=re.escape(expected)):
        check_session(text)


def test_a_clock_that_is_set_back_keeps_the_order_of_files(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(1), line(2)])
    clock.now_s -= 86_400
    files.write([line(3)])
    assert text_of(rules) == line(1) + line(2) + line(3)


def test_a_writer_that_starts_again_goes_on_with_the_newest_file(rules: FileRules, clock: Clock):
    rules = replace(rules, max_file_bytes=1 << 20)
    files = LogFiles(rules, clock)
    files.write([line(1)])
    crashed(files, clock).write([line(2)])
    assert names(rules) == ["oms-20261126T120000Z-000001.jsonl"]
    assert text_of(rules) == line(1) + line(2)


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (line(1) + line(2)[:-9], line(1)),
        (line(1)[:-9], b""),
        (line(1) + line(2)[:-1], line(1) + line(2)),
        (line(1) + bytes(100), line(1)),
        (bytes(3 << 20), b""),
    ],
)
def test_a_line_that_a_crash_has_cut_off_goes_for_its_record_comes_again(
    rules: FileRules, clock: Clock, left: bytes, kept: bytes
):
    rules = replace(rules, max_file_bytes=1 << 20)
    files = LogFiles(rules, clock)
    files.write([line(1)])
    (name,) = files_in(rules.directory)
    name.path.write_bytes(left)
    crashed(files, clock).write([line(3)])
    assert text_of(rules) == kept + line(3)


@pytest.mark.parametrize("act", [Path.unlink, rename])
def test_a_file_that_is_removed_or_renamed_is_followed_by_the_next(
    rules: FileRules, clock: Clock, act: Callable[[Path], object]
):
    files = LogFiles(replace(rules, max_file_bytes=1 << 20), clock)
    files.write([line(1)])
    act(files_in(rules.directory)[0].path)
    assert files.write([line(2)])
    assert text_of(rules) == line(2)


def test_a_folder_that_is_removed_is_made_again(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(1)])
    shutil.rmtree(rules.directory)
    assert files.write([line(2)])
    assert text_of(rules) == line(2)


def test_a_full_disk_keeps_lines_waiting_and_no_half_line_is_left(
    rules: FileRules, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    rules = replace(rules, max_file_bytes=1 << 20)
    files = LogFiles(rules, clock)
    files.write([line(1)])
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not files.write([line(2), line(3)])
    assert text_of(rules) == line(1)
    told = files.statistics()
    assert (told.waiting, told.lost, told.error) == (2, 0, "No space left on device")
    monkeypatch.setattr(os, "write", write)
    assert files.flush()
    assert text_of(rules) == line(1) + line(2) + line(3)


def test_what_does_not_fit_into_memory_meanwhile_is_counted(
    rules: FileRules, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(files_module, "MAX_WAITING_BYTES", len(line(1)) * 3)
    rules.directory.parent.joinpath("logs").write_text("a file is in the way")
    files = LogFiles(rules, clock)
    assert not files.write([line(number) for number in range(1, 6)])
    assert (files.statistics().waiting, files.take_lost(), files.take_lost()) == (3, 2, 0)
    rules.directory.unlink()
    assert files.flush()
    assert text_of(rules) == line(1) + line(2) + line(3)


def test_a_folder_that_may_not_be_written_any_more_keeps_lines_waiting(
    rules: FileRules, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    def deny(*_arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    files = LogFiles(rules, clock)
    files.write([line(1), line(2)])
    monkeypatch.setattr(os, "open", deny)
    assert not files.write([line(3)])
    assert (files.statistics().waiting, files.statistics().error) == (1, "Permission denied")
    monkeypatch.undo()
    assert files.flush()
    assert text_of(rules) == line(1) + line(2) + line(3)


def test_a_link_in_place_of_the_newest_file_is_not_followed(rules: FileRules, clock: Clock, tmp_path: Path):
    rules.directory.mkdir(parents=True)
    target = tmp_path / "secret"
    target.write_bytes(b"")
    (rules.directory / "oms-20261126T120000Z-000001.jsonl").symlink_to(target)
    LogFiles(rules, clock).write([line(1)])
    assert (target.read_bytes(), names(rules)[1]) == (b"", "oms-20261126T120000Z-000002.jsonl")


def test_full_files_are_compressed_and_read_the_same(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 6)])
    before = text_of(rules)
    while files.tidy():
        pass
    assert [name.suffix for name in files_in(rules.directory)] == [".zst", ".zst", ""]
    assert text_of(rules) == before


def test_a_crash_between_compression_and_removal_leaves_each_line_once(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 4)])
    first = files_in(rules.directory)[0].path
    data = first.read_bytes()
    compress(first)
    first.write_bytes(data)
    (rules.directory / ".oms-20261126T120000Z-000001.jsonl.zst.new").write_bytes(b"half")
    assert text_of(rules) == b"".join(line(number) for number in range(1, 4))
    files.tidy()
    assert not [name for name in names(rules) if name.endswith(".new") or name == first.name]


def test_old_files_go_beyond_the_count(rules: FileRules, clock: Clock):
    files = LogFiles(replace(rules, backup_count=2), clock)
    files.write([line(number) for number in range(1, 10)])
    while files.tidy():
        pass
    assert [name.number for name in files_in(rules.directory)] == [3, 4, 5]


def test_files_that_are_too_large_together_or_too_old_go(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 10)])
    while files.tidy():
        pass
    sizes = [name.path.stat().st_size for name in files_in(rules.directory)]
    files.rules = replace(rules, max_total_bytes=sizes[2] + sizes[3])
    files.tidy()
    assert [name.number for name in files_in(rules.directory)] == [3, 4, 5]
    clock.now_s = files_in(rules.directory)[0].path.stat().st_mtime + 100
    files.rules = replace(rules, max_age_s=50.0)
    files.tidy()
    assert [name.number for name in files_in(rules.directory)] == [5]


def test_files_that_are_not_kept_go_into_the_archive_with_their_index(
    rules: FileRules, clock: Clock, tmp_path: Path
):
    files = LogFiles(replace(rules, backup_count=1, archive_dir=tmp_path / "old"), clock)
    files.write([line(number) for number in range(1, 8)])
    while files.tidy():
        pass
    moved = files_in(tmp_path / "old")
    assert [name.number for name in moved] == [1, 2]
    assert all(index_path(name.path).exists() for name in moved)
    assert text_of(replace(rules, directory=tmp_path / "old")) == b"".join(line(n) for n in range(1, 5))


def test_files_of_audit_records_are_never_removed(rules: FileRules, clock: Clock):
    files = LogFiles(replace(rules, is_audit=True, backup_count=1), clock)
    files.write([line(number) for number in range(1, 8)])
    while files.tidy():
        pass
    assert [(name.number, name.is_audit) for name in files_in(rules.directory)] == [
        (number, True) for number in range(1, 5)
    ]


def test_the_last_number_of_each_process_is_found_again_in_plain_and_compressed_files(
    rules: FileRules, clock: Clock
):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 6)])
    files.write([line(9).replace(b'"7-9"', b'"8-9"').replace(b'"o-9"', b'"uid":"6-6"')])
    while files.tidy():
        pass
    files.claim.release()
    (newest,) = [name for name in files_in(rules.directory) if not name.suffix]
    newest.path.write_bytes(newest.path.read_bytes() + line(70)[:-2])
    assert LogFiles(rules, clock).last_numbers() == {"7": 5, "8": 9}


def test_a_full_disk_gets_no_new_file_at_each_attempt(
    rules: FileRules, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    files = LogFiles(rules, clock)
    files.write([line(1)])
    monkeypatch.setattr(os, "write", full_disk)
    for _ in range(5):
        assert not files.write([line(2)])
    monkeypatch.undo()
    assert files.flush()
    assert text_of(rules) == line(1) + line(2) * 5
    assert len(names(rules)) == 3


def test_a_system_that_lets_no_file_grow_as_large_gets_smaller_ones(rules: FileRules, tmp_path: Path):
    program = (
        "import resource, sys; from pathlib import Path; from tickspan.logs.files import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "files = LogFiles(FileRules(Path(sys.argv[1]), 'oms', max_file_bytes=1 << 20))\n"
        "print(all(files.write([b'x' * 299 + b'\\n']) for _ in range(10)), files.write([b'y' * 2000]))\n"
        "print(files.statistics().error, files.statistics().waiting)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(rules.directory)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "True False\nFile too large 1\n"
    sizes = [name.path.stat().st_size for name in files_in(rules.directory)]
    assert sizes == [900, 900, 900, 300, 0]


def test_a_compression_without_room_leaves_nothing_and_old_files_make_room(
    rules: FileRules, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    files = LogFiles(rules, clock)
    files.write([line(number) for number in range(1, 10)])
    files.rules = replace(rules, backup_count=2)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.tidy()
    monkeypatch.undo()
    assert [name.number for name in files_in(rules.directory)] == [3, 4, 5]
    assert all(name.endswith(".jsonl") for name in names(rules))
    while files.tidy():
        pass
    assert text_of(rules) == b"".join(line(number) for number in range(5, 10))


def test_who_finds_a_prefix_taken_writes_beside_it_and_both_are_found(rules: FileRules, clock: Clock):
    first, second = LogFiles(rules, clock), LogFiles(rules, clock)
    for number in range(1, 8):
        first.write([line(number)])
        second.write([line(number + 10)])
    assert {name.prefix for name in files_in(rules.directory, "oms")} == {"oms", "oms.2"}
    while first.tidy() + second.tidy():
        pass
    plain = [name.path for name in files_in(rules.directory) if not name.suffix]
    assert sorted(plain) == sorted(path for path in (first.path, second.path) if path is not None)
    assert sorted(text_of(rules).splitlines()) == sorted(
        line(number)[:-1] for number in (*range(1, 8), *range(11, 18))
    )


def test_files_of_a_writer_that_is_gone_are_looked_after(rules: FileRules, clock: Clock):
    gone = LogFiles(replace(rules, prefix="oms.4711"), clock)
    gone.write([line(1), line(2), line(3)])
    mine = LogFiles(replace(rules, backup_count=1), clock)
    mine.write([line(4)])
    mine.tidy()
    (newest,) = [name for name in files_in(rules.directory) if name.path == gone.path]
    assert newest.suffix == ""  # it lives yet
    gone.claim.release()
    while mine.tidy():
        pass
    assert [(name.prefix, name.suffix) for name in files_in(rules.directory)] == [
        ("oms.4711", ".zst"),
        ("oms", ""),
    ]


def test_a_forked_child_holds_nothing_of_its_parents_files(rules: FileRules, clock: Clock):
    files = LogFiles(rules, clock)
    files.write([line(1)])
    pid = os.fork()
    if not pid:  # pragma: no cover - the child
        os._exit(files.claim.is_held)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert files.claim.is_held


@pytest.mark.parametrize("step_s", [-86_400, 86_400 * 400])
def test_a_clock_that_is_stepped_begins_a_day_and_loses_nothing(
    rules: FileRules, clock: Clock, step_s: float
):
    files = LogFiles(replace(rules, rotate=LogRotation.DAILY, max_file_bytes=1 << 20), clock)
    files.write([line(1)])
    clock.now_s += step_s
    files.write([line(2)])
    clock.now_s = NOON_S
    files.write([line(3)])
    while files.tidy():
        pass
    assert text_of(rules) == line(1) + line(2) + line(3)
    assert len(names(rules)) == 5  # three files, two of them with an index


def test_after_a_restart_on_another_day_a_file_of_that_day_begins(rules: FileRules, clock: Clock):
    files = LogFiles(replace(rules, rotate=LogRotation.DAILY, max_file_bytes=1 << 20), clock)
    files.write([line(1)])
    clock.now_s += 86_400
    crashed(files, clock).write([line(2)])
    assert [name.path.read_bytes() for name in files_in(rules.directory)] == [line(1), line(2)]


def test_a_link_to_a_folder_elsewhere_is_followed_for_somebody_has_made_it(
    rules: FileRules, clock: Clock, tmp_path: Path
):
    (tmp_path / "disk").mkdir()
    rules.directory.symlink_to(tmp_path / "disk")
    assert LogFiles(rules, clock).write([line(1)])
    assert files_in(tmp_path / "disk")[0].path.read_bytes() == line(1)


def test_lines_stay_json(rules: FileRules, clock: Clock):
    LogFiles(rules, clock).write([line(1)])
    assert json.loads(text_of(rules))["uid"] == "7-1"
