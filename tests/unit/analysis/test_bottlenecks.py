"""Each kind of finding is given for a profile that shows it, and only for that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickspan.analysis.bottlenecks import Finding, Grown, bottlenecks
from tickspan.analysis.complexity import complexity
from tickspan.analysis.profiles import Frame, Link, Profile, Sample

WORK = Frame("work", "/bot/bot.py", 5, 3)
OTHER = Frame("other", "/bot/bot.py", 15, 13)
THIRD = Frame("third", "/bot/bot.py", 25, 23)
MAIN = Frame("main", "/bot/main.py", 9, 1)
DUMPS = Frame("dumps", "/usr/lib/python3.11/json/__init__.py", 231, 183)
EMIT = Frame("StreamHandler.emit", "/usr/lib/python3.11/logging/__init__.py", 1100, 1090)
HANDLE = Frame("Handle._run", "/usr/lib/python3.11/asyncio/events.py", 80, 78)
ONCE = Frame("BaseEventLoop._run_once", "/usr/lib/python3.11/asyncio/base_events.py", 1900, 1830)
READ = Frame("Socket.read", "/usr/lib/python3.11/socket.py", 700, 690)

Row = tuple[tuple[Frame, ...], str, int]


def profile(*rows: Row) -> Profile:
    frames = tuple(dict.fromkeys(frame for stack, _, _ in rows for frame in stack))
    stacks = tuple(dict.fromkeys([(), *(tuple(frames.index(one) for one in stack) for stack, _, _ in rows)]))
    samples = tuple(
        Sample(stacks.index(tuple(frames.index(one) for one in stack)), "t", state, None, count, count)
        for stack, state, count in rows
    )
    return Profile("bot", "", 1, 0, 1, 1, frames, stacks, samples)


SPREAD: tuple[Row, ...] = tuple(
    ((Frame(f"f{place}", "/bot/x.py", place, place), MAIN), "cpu", 10) for place in range(1, 9)
)
"""80 samples, none of them telling."""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([((WORK, MAIN), "cpu", 20)], [("hot_function", "work (bot.py:3)", 0.2)]),
        ([((WORK, MAIN), "cpu", 19)], []),
        ([((WORK, MAIN), "gc", 2)], [("gc", "work (bot.py:3)", 2 / 82)]),
        ([((WORK, MAIN), "gil", 10)], [("gil", "work (bot.py:3)", 10 / 90)]),
        ([((WORK, MAIN), "lock", 10)], [("lock", "work (bot.py:3)", 10 / 90)]),
        ([((WORK, MAIN), "runqueue", 5)], [("runqueue", "work (bot.py:3)", 5 / 85)]),
        ([((READ, MAIN), "io", 80)], [("io", "Socket.read (socket.py:690)", 0.5)]),
        ([((READ, MAIN), "io", 79)], []),
        (
            [((READ, WORK, HANDLE, ONCE, MAIN), "io", 5)],
            [("blocked_loop", "Socket.read (socket.py:690)", 5 / 85)],
        ),
        ([((DUMPS, WORK, MAIN), "cpu", 10)], [("serialisation", "work (bot.py:3)", 10 / 90)]),
        ([((EMIT, WORK, MAIN), "cpu", 5)], [("logging", "work (bot.py:3)", 5 / 85)]),
        ([((WORK, MAIN), "idle", 1_000)], []),
    ],
)
def test_a_finding_is_given_from_its_share_on(rows: list[Row], expected: list[tuple[str, str, float]]):
    found = bottlenecks(profile(*SPREAD, *rows))
    assert [(one.kind, one.where, one.share) for one in found] == [
        (kind, where, pytest.approx(share)) for kind, where, share in expected
    ]


def test_findings_come_with_evidence_and_the_next_step_largest_first():
    found = bottlenecks(
        profile(((WORK, OTHER), "cpu", 60), ((OTHER, MAIN), "lock", 40), ((THIRD,), "idle", 900))
    )
    assert found == [
        Finding(
            "hot_function",
            "work (bot.py:3)",
            0.6,
            {"samples": 60, "samples_with_callees": 60},
            "make work (bot.py:3) cheaper, or call it less often",
        ),
        Finding(
            "lock",
            "other (bot.py:13)",
            0.4,
            {"samples": 40, "samples_there": 40},
            "hold the lock for less, or let fewer threads share it",
        ),
    ]


def test_few_samples_say_nothing():
    assert bottlenecks(profile(((WORK,), "cpu", 49))) == []


def test_a_function_that_grows_too_fast_is_told_without_samples():
    square = complexity((2.0**power, 1e-6 * 4.0**power) for power in range(1, 11))
    line = complexity((2.0**power, 1e-6 * 2.0**power) for power in range(1, 11))
    found = bottlenecks(profile(), [Grown("bot.match", square), Grown("bot.sum", line)])
    assert [(one.kind, one.where, one.evidence["order"]) for one in found] == [
        ("superlinear", "bot.match", "n²")
    ]


SLEEPS = Frame("backoff", "/bot/bot.py", 35, 33)
SELECT = Frame("EpollSelector.select", "/usr/lib/python3.11/selectors.py", 468, 451)
RUNNER = Frame("Runner.run", "/usr/lib/python3.11/asyncio/runners.py", 118, 86)
JOIN = Frame("Thread._wait_for_tstate_lock", "/usr/lib/python3.11/threading.py", 1130, 1125)
WAIT = Frame("Condition.wait", "/usr/lib/python3.11/threading.py", 320, 295)
GET = Frame("Queue.get", "/usr/lib/python3.11/queue.py", 180, 154)
ACQUIRE = Frame("Semaphore.acquire", "/usr/lib/python3.11/threading.py", 500, 480)
NOTE = Frame("GcPauses._note", "/x/tickspan/recording/gc_pauses.py", 200, 194)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([((SLEEPS, WORK, HANDLE, ONCE, MAIN), "idle", 20)], [("blocked_loop", "backoff (bot.py:33)")]),
        ([((SELECT, ONCE, MAIN), "idle", 900)], []),
        ([((SLEEPS, WORK, RUNNER, MAIN), "idle", 20)], [("blocked_loop", "backoff (bot.py:33)")]),
        ([((RUNNER, MAIN), "idle", 900)], []),
        ([((JOIN, MAIN), "lock", 900), ((WAIT, GET, WORK), "lock", 900)], []),
        ([((WAIT, ACQUIRE, WORK), "lock", 20)], [("lock", "Condition.wait (threading.py:295)")]),
        ([((NOTE, WORK, MAIN), "cpu", 20)], [("gc", "work (bot.py:3)")]),
        ([((DUMPS, WORK, MAIN), "cpu", 400)], [("serialisation", "work (bot.py:3)")]),
        ([((EMIT, WORK, MAIN), "cpu", 400)], [("logging", "work (bot.py:3)")]),
    ],
)
def test_what_waits_for_work_is_no_bottleneck_and_what_holds_others_up_is(
    rows: list[Row], expected: list[tuple[str, str]]
):
    assert [(one.kind, one.where) for one in bottlenecks(profile(*SPREAD, *rows))] == expected


def test_a_blocked_loop_names_the_applications_own_function():
    found = bottlenecks(profile(*SPREAD, ((READ, WORK, HANDLE, ONCE, MAIN), "io", 20)))
    assert found == [
        Finding(
            "blocked_loop",
            "Socket.read (socket.py:690)",
            0.2,
            {"samples": 20, "called_by": "work (bot.py:3)"},
            "await an asynchronous call instead of Socket.read (socket.py:690), or run work (bot.py:3) by"
            " asyncio.to_thread",
        )
    ]


def test_what_takes_less_than_a_twentieth_of_the_time_is_none_and_threads_of_ours_never_are():
    busy = profile(((WORK, MAIN), "cpu", 90))
    assert [one.kind for one in bottlenecks(replace(busy, duration_ns=1_800))] == ["hot_function"]
    assert bottlenecks(replace(busy, duration_ns=1_801)) == []
    own = tuple(replace(one, thread="tickspan-ticker") for one in busy.samples)
    assert bottlenecks(replace(busy, samples=own)) == []


def test_waits_outside_of_spans_are_no_finding_where_there_are_spans():
    waits = profile(((READ, MAIN), "io", 900), ((WORK, MAIN), "lock", 10))
    assert [one.kind for one in bottlenecks(waits)] == ["io"]
    linked = tuple(replace(one, link=Link(1, 2)) if one.state == "lock" else one for one in waits.samples)
    assert bottlenecks(replace(waits, samples=linked)) == []
