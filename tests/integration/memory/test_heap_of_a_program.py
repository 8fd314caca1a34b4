"""A running program is asked where the memory is from that it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tickspan_spool

import tickspan
from tickspan.profiler.encoding.pprof import read_pprof

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
SOURCES = os.pathsep.join(str(Path(str(one.__file__)).parents[1]) for one in (tickspan, tickspan_spool))
BOT = """
import time
import tickspan

tickspan.init(service_name="bot")

class Book:
    def __init__(self):
        self.orders = []

    def keep(self):
        self.orders.append(bytearray(20_000))

book = Book()
print("ready", flush=True)
while True:
    book.keep()
    time.sleep(0.01)
    if len(book.orders) == 3_000:
        book.orders.clear()
"""


@contextmanager
def running(program: str, environment: dict[str, str], folder: Path) -> Generator[subprocess.Popen[str]]:
    (folder / "bot.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, "bot.py"], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("backend", ["tracemalloc", "memray"])
def test_a_heap_profile_names_who_allocated(
    backend: str, clean_environment: dict[str, str], run: Callable[..., Ended], tmp_path: Path
) -> None:
    if backend == "memray":
        pytest.importorskip("memray", reason="memray is not installed")
    spool = tmp_path / "spool"
    environment = {**clean_environment, "TICKSPAN_SPOOL_DIR": str(spool), "PYTHONPATH": SOURCES}
    with running(BOT, environment, tmp_path) as process:
        command = (sys.executable, "-m", "tickspan", "profile", "record", "--pid", str(process.pid))
        outputs = ("-o", "heap.pb.gz", "-o", "heap.html", "-o", "heap.folded")
        ended = run(*command, "--heap", backend, "--seconds", "1", *outputs, PYTHONPATH=SOURCES)
        assert (ended.returncode, ended.stderr, process.poll()) == (0, "", None)
    profile = read_pprof((tmp_path / "heap.pb.gz").read_bytes())
    largest = max(profile.samples, key=profile.weight)
    assert (profile.service, profile.pid, profile.kind) == ("bot", process.pid, "space")
    assert [frame.name for frame in profile.frames_of(largest)][:2] == ["Book.keep", "<module>"]
    assert largest.wall_ns >= 500_000
    page = (tmp_path / "heap.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "bytes in 1." in page
    assert f";Book.keep (bot.py:12) {largest.wall_ns}\n" in (tmp_path / "heap.folded").read_text()
    assert list((spool / "profiles").iterdir()) == []


@pytest.mark.skipif(shutil.which("go") is None, reason="Go's pprof is not installed")
def test_gos_pprof_reads_it_as_a_heap(
    clean_environment: dict[str, str], run: Callable[..., Ended], tmp_path: Path
) -> None:
    environment = {**clean_environment, "TICKSPAN_SPOOL_DIR": str(tmp_path / "spool"), "PYTHONPATH": SOURCES}
    with running(BOT, environment, tmp_path) as process:
        command = (sys.executable, "-m", "tickspan", "profile", "record", "--pid", str(process.pid))
        run(*command, "--heap", "--seconds", "1", "-o", "heap.pb.gz", PYTHONPATH=SOURCES)
    top = subprocess.run(
        ["go", "tool", "pprof", "-top", "-sample_index=inuse_space", "heap.pb.gz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    lines = top.stdout.splitlines()
    assert "Type: inuse_space" in lines
    assert len([line for line in lines if line.endswith("Book.keep")]) == 1


TRACES = BOT.replace("print(", "import tracemalloc\ntracemalloc.start()\nprint(", 1)


def test_a_program_that_traces_itself_declines(
    clean_environment: dict[str, str], run: Callable[..., Ended], tmp_path: Path
) -> None:
    environment = {**clean_environment, "TICKSPAN_SPOOL_DIR": str(tmp_path / "spool"), "PYTHONPATH": SOURCES}
    with running(TRACES, environment, tmp_path) as process:
        command = (sys.executable, "-m", "tickspan", "profile", "record", "--pid", str(process.pid))
        ended = run(*command, "--heap", "--seconds", "1", "-o", "heap.pb.gz", PYTHONPATH=SOURCES)
    declined = f"process {process.pid} declined: allocations are traced already"
    assert (ended.returncode, ended.stdout) == (3, "")
    assert declined in ended.stderr
