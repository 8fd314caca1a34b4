"""The folder of profiles: named by time, bounded, whole files only."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tickspan.analysis.profiles import Profile
from tickspan.profiler import shelf as shelf_module
from tickspan.profiler.encoding.pprof import read_pprof
from tickspan.profiler.shelf import Shelf, shelved

S = 1_000_000_000


def test_a_profile_is_a_file_that_says_when_of_whom_and_why(tmp_path: Path, profile: Profile):
    path = Shelf(tmp_path).put(profile, "slow", "ab" * 16, {"tickspan.profile.reason": "slow"})
    assert path == tmp_path / "profiles" / f"20231114T221320Z-bot-slow-{'ab' * 16}.pb.gz"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert read_pprof(path.read_bytes()) == replace(profile, own_cpu_ns=0)


def test_names_of_services_cannot_leave_the_folder(tmp_path: Path, profile: Profile):
    path = Shelf(tmp_path).put(replace(profile, service="../../etc/" + "x" * 99), "minute", "7")
    assert path.name == f"20231114T221320Z-.._.._etc_{'x' * 30}-minute-7.pb.gz"
    assert path.parent == tmp_path / "profiles"


def test_the_same_profile_again_takes_its_own_place(tmp_path: Path, profile: Profile):
    shelf = Shelf(tmp_path)
    assert len({shelf.put(profile, "slow", "aa") for _ in range(3)}) == len(shelved(tmp_path)) == 1


@pytest.mark.parametrize("bounds", [(3, 1 << 20), (100, 2_000)])
def test_the_oldest_make_room_and_other_files_stay(tmp_path: Path, profile: Profile, bounds: tuple[int, int]):
    shelf = Shelf(tmp_path, *bounds)
    shelf.put(profile, "slow", "aa")
    (tmp_path / "profiles" / "77.request").touch()
    for second in range(1, 9):
        later = replace(profile, started_unix_ns=profile.started_unix_ns + second * S)
        shelf.put(later, "slow", "aa")
    left = [path.name[13:15] for path in shelved(tmp_path)]
    assert left == [f"{20 + second}" for second in range(9 - len(left), 9)]
    assert sum(path.stat().st_size for path in shelved(tmp_path)) <= bounds[1]
    assert 1 <= len(left) <= bounds[0]
    assert (tmp_path / "profiles" / "77.request").exists()


def test_half_a_file_is_none(tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch):
    def write_half(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])

    monkeypatch.setattr(shelf_module, "write_file", write_half)
    with pytest.raises(OSError, match="only a part"):
        Shelf(tmp_path).put(profile, "slow", "aa")
    assert list((tmp_path / "profiles").iterdir()) == []


def test_answers_that_nobody_fetched_go_after_a_day(tmp_path: Path, profile: Profile):
    shelf = Shelf(tmp_path)
    shelf.put(profile, "slow", "aa")
    for name, age_s in (
        ("7-a.profile", 90_000),
        ("8.request", 90_000),
        ("9-b.profile", 60),
        ("note", 90_000),
    ):
        path = tmp_path / "profiles" / name
        path.touch()
        changed_s = time.time() - age_s
        os.utime(path, (changed_s, changed_s))
    shelf.put(profile, "slow", "bb")
    left = {path.name for path in (tmp_path / "profiles").iterdir() if path not in shelved(tmp_path)}
    assert left == {"9-b.profile", "note"}
