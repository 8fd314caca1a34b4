"""Programs are sampled from outside: run under the profiler, and asked for a profile while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tickspan_spool

import tickspan
from tickspan.analysis.profiles import Profile, weights

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
SOURCES = os.pathsep.join(str(Path(str(one.__file__)).parents[1]) for one in (tickspan, tickspan_spool))
BOT = """
import asyncio, sys

def price(count):
    return sum(place * place for place in range(count))

async def strategy():
    for _ in range(300):
        price(20_000)
        await asyncio.sleep(0.001)

asyncio.run(strategy())
print("done")
sys.exit(5)
"""
SERVER = """
import sys, time
import tickspan

tickspan.init(service_name="bot")

def price():
    return sum(range(2_000))

print("ready", flush=True)
while True:
    price()
"""


def shares(path: Path) -> dict[str, int]:
    return {
        name.partition(" ")[0]: count
        for name, count in weights(Profile.load(path.read_bytes())).total.items()
    }


def test_a_program_runs_sampled_and_keeps_its_output_and_status(run: Callable[..., Ended], tmp_path: Path):
    (tmp_path / "bot.py").write_text(BOT)
    command = (
        sys.executable,
        "-m",
        "tickspan",
        "profile",
        "-o",
        "bot.profile",
        "-o",
        "bot.html",
        "--hz",
        "200",
    )
    ended = run(*command, "--", sys.executable, "bot.py", PYTHONPATH=SOURCES)
    assert (ended.stdout.splitlines()[0], ended.returncode, ended.stderr) == ("done", 5, "")
    found = shares(tmp_path / "bot.profile")
    assert found["strategy"] >= found["price"] > 0
    assert (tmp_path / "bot.html").read_text().startswith("<!DOCTYPE html>")


@contextmanager
def serving(environment: dict[str, str], folder: Path) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_running_program_is_asked_for_a_profile(
    clean_environment: dict[str, str], run: Callable[..., Ended], tmp_path: Path
):
    spool = tmp_path / "spool"
    environment = {**clean_environment, "TICKSPAN_SPOOL_DIR": str(spool), "PYTHONPATH": SOURCES}
    with serving(environment, tmp_path) as process:
        command = (sys.executable, "-m", "tickspan", "profile", "record", "--pid", str(process.pid))
        begun = time.monotonic()
        ended = run(*command, "--seconds", "1", "-o", "bot.profile", PYTHONPATH=SOURCES)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert time.monotonic() - begun >= 1.0
        assert process.poll() is None
    profile = Profile.load((tmp_path / "bot.profile").read_bytes())
    assert (profile.service, profile.pid) == ("bot", process.pid)
    assert shares(tmp_path / "bot.profile")["price"] > 5
    assert list((spool / "profiles").iterdir()) == []


ENDLESS = """
try:
    print("ready", flush=True)
    while True:
        sum(range(1_000))
except KeyboardInterrupt:
    print("interrupted")
"""
TERMINATED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
while True:
    sum(range(1_000))
"""


@pytest.mark.parametrize(
    ("program", "number", "told", "status"),
    [(ENDLESS, signal.SIGINT, "interrupted", 0), (TERMINATED, signal.SIGTERM, "", 7)],
)
def test_a_program_that_is_interrupted_or_terminated_leaves_its_profile(
    clean_environment: dict[str, str], tmp_path: Path, program: str, number: int, told: str, status: int
):
    (tmp_path / "bot.py").write_text(program)
    command = (sys.executable, "-m", "tickspan", "profile", "-o", "bot.profile", "--", sys.executable)
    process = subprocess.Popen(
        [*command, "bot.py"],
        env={**clean_environment, "PYTHONPATH": SOURCES},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if number == signal.SIGINT:  # as a terminal does: to all of the foreground
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert output.startswith(told)
    assert output.rstrip().endswith("written to bot.profile")
    assert Profile.load((tmp_path / "bot.profile").read_bytes()).pid > 0
