"""A running process is asked for a profile by a file, and answers by one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.profiles import Profile
from tickspan.profiler import control
from tickspan.profiler.control import Answering, Request
from tickspan.recording.ticker import Ticker

ID = "0123456789abcdef"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_request_is_taken_once_and_answered_after_its_time(spool: Path):
    clock = Clock()
    ticker = Ticker(clock, has_thread=False)
    answering = Answering(spool, ("bot", "1"), ticker)
    answering.start()
    control.ask(spool, os.getpid(), Request(ID, 30.0, 100.0))
    clock.now_s += 1.0
    ticker.run_due()
    answer = control.answer_path(spool, os.getpid(), ID)
    assert (control.request_path(spool, os.getpid()).exists(), answer.exists()) == (False, False)
    assert not answering.look()
    clock.now_s += 30.0
    ticker.run_due()
    profile = Profile.load(answer.read_bytes())
    assert (profile.service, profile.pid, profile.period_ns) == ("bot", os.getpid(), 10_000_000)
    assert oct(answer.stat().st_mode & 0o777) == "0o600"


def test_nothing_is_done_where_nothing_is_asked(spool: Path):
    assert not Answering(spool, clock=Ticker(has_thread=False)).look()
    assert list(spool.iterdir()) == []


def test_a_request_for_another_process_is_left_to_it(spool: Path):
    control.ask(spool, os.getpid() + 1, Request(ID, 1.0, 10.0))
    assert not Answering(spool, clock=Ticker(has_thread=False)).look()
    assert control.request_path(spool, os.getpid() + 1).exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": "../../x", "seconds": 1, "hz": 10}',
        b'{"id": "0123456789abcdef", "seconds": 1e9, "hz": 10}',
        b'{"id": "0123456789abcdef", "seconds": 0, "hz": 10}',
        b'{"id": "0123456789abcdef", "seconds": 1, "hz": 1e6}',
        b'{"id": "0123456789abcdef", "seconds": [], "hz": 1}',
        b'{"id": "0123456789abcdef"}',
        b"\xff\xfe",
        b"[" * 4_000,
    ],
)
def test_what_is_no_request_is_removed_and_nothing_is_sampled(spool: Path, data: bytes):
    (spool / control.FOLDER).mkdir(mode=0o700)
    control.request_path(spool, os.getpid()).write_bytes(data)
    answering = Answering(spool, clock=Ticker(has_thread=False))
    assert not answering.look()
    sampler: Any = answering._sampler
    assert (sampler, control.request_path(spool, os.getpid()).exists()) == (None, False)
