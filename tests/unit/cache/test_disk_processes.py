"""One file for several processes: what survives a kill, a fork, and writers at once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tickspan.cache.disk import DiskTier
from tickspan.cache.tiers import Found, Read

pytestmark = pytest.mark.integration

PRELUDE = """
import os, signal, sys, time
from tickspan.cache.disk import DiskTier
from tickspan.cache.tiers import *

def raw(number):
    return b"TS\\x01\\0" + bytes(4) + number.to_bytes(8) + number.to_bytes(8) + bytes(42)

def write(key, number, **more):
    return Write(key, raw(number), 60_000, **more)

disk = DiskTier(sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def program(folder: Path, text: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            PRELUDE + textwrap.dedent(text),
            str(folder),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(folder: Path, text: str) -> str:
    with program(folder, text) as process:
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    return out


def numbers(folder: Path, *keys: str) -> list[int | None]:
    """The numbers in the file, read by this process."""
    disk = DiskTier(folder)
    found = disk.perform(Read(keys))
    disk.close()
    assert isinstance(found, Found)
    return [None if value is None else int.from_bytes(value[8:16]) for value in found.values]


def is_sound(folder: Path) -> bool:
    connection = sqlite3.connect(folder / "cache-1.db")
    ((verdict,),) = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return verdict == "ok"


def test_a_killed_process_loses_what_came_since_its_last_batch_and_no_more(folder: Path) -> None:
    killed = program(
        folder,
        """
        for number in range(3000):
            disk.perform(write(f"k{number}", number))
        while disk.statistics().written < 3000:
            time.sleep(0.001)
        disk.perform(write("last", 1))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    killed.communicate(timeout=20)
    kept = numbers(folder, *(f"k{number}" for number in range(3000)), "last")
    assert (killed.returncode, kept, is_sound(folder)) == (-signal.SIGKILL, [*range(3000), None], True)


def test_a_process_that_ends_has_written_what_it_had_queued(folder: Path) -> None:
    output(folder, 'disk.perform(write("k", 7))')
    assert numbers(folder, "k") == [7]


def test_parent_and_child_go_on_with_one_file_and_see_what_the_other_writes(folder: Path) -> None:
    told = output(
        folder,
        """
        disk.perform(write("before", 1))
        disk.perform(Read(("opened",)))
        child = os.fork()
        if child == 0:
            seen = disk.perform(Read(("before",))).values[0]
            disk.perform(write("child", 2))
            disk.perform(Bury(("before",), (raw(9),), 60_000))
            disk.close()
            os._exit(0 if seen == raw(1) else 1)
        disk.perform(write("parent", 3))
        (_, status) = os.waitpid(child, 0)
        disk.close()
        print(os.waitstatus_to_exitcode(status))
        """,
    )
    assert (told, numbers(folder, "before", "child", "parent"), is_sound(folder)) == ("0\n", [9, 2, 3], True)


def test_a_fork_at_any_moment_leaves_both_with_a_working_tier(folder: Path) -> None:
    told = output(
        folder,
        """
        import threading
        sys.setswitchinterval(1e-5)
        over = threading.Event()
        def work():
            number = 0
            while not over.is_set():
                number += 1
                disk.perform(write(f"k{number % 50}", number))
                disk.perform(Read((f"k{number % 70}",)))
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        codes = []
        for turn in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                disk.perform(write(f"child{turn}", turn))
                good = disk.perform(Read((f"child{turn}",))).values == (raw(turn),)
                disk.close()
                os._exit(0 if good else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        for thread in threads:
            thread.join()
        disk.perform(write("parent", 5))
        disk.close()
        print(codes)
        """,
    )
    kept = numbers(folder, "parent", *(f"child{turn}" for turn in range(10)))
    assert (told, kept, is_sound(folder)) == (f"{[0] * 10}\n", [5, *range(10)], True)


def test_processes_that_write_at_once_leave_the_newest_version_of_each_key(folder: Path) -> None:
    writers = [
        program(
            folder,
            f"""
            for version in range({start}, 401, 4):
                for key in range(5):
                    disk.perform(write(f"k{{key}}", version, version=version))
            disk.close()
            """,
        )
        for start in range(1, 5)
    ]
    endings = [writer.communicate(timeout=30)[1] for writer in writers]
    assert (endings, numbers(folder, *(f"k{key}" for key in range(5))), is_sound(folder)) == (
        [""] * 4,
        [400] * 5,
        True,
    )


def test_one_of_many_processes_gets_a_claim(folder: Path) -> None:
    claimants = [
        program(
            folder,
            """
            import tickspan.cache.disk.tier
            tickspan.cache.disk.tier._PATIENCE_S = 10
            print(disk.perform(Claim("k", os.getpid().to_bytes(8), 60_000)))
            disk.close()
            """,
        )
        for _ in range(4)
    ]
    answers = sorted(claimant.communicate(timeout=30)[0].strip() for claimant in claimants)
    assert answers == ["False", "False", "False", "True"]
