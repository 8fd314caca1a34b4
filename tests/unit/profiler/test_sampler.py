"""The sampler looks at real threads."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.profiles import Link, Profile
from tickspan.profiler._impl import snapshot
from tickspan.profiler.sampler import Sampler, Seen
from tickspan.profiler.states import State
from tickspan.providers import TracerProvider
from tickspan.recording.looks import limit_looks
from tickspan.recording.sections import sections
from tickspan.testing.sink import MemorySink

NO_PAUSES: Callable[[int], list[tuple[int, int, int]]] = lambda _since: []  # noqa: E731 - a value for an argument


@contextmanager
def running(sampler: Sampler) -> Generator[Sampler]:
    sampler.start()
    yield sampler
    sampler.stop()


def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds()


def spin(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(200))


def test_a_thread_that_computes_and_one_that_waits_are_told_apart():
    stop, seen = threading.Event(), list[Seen]()
    threads = [
        threading.Thread(target=spin, args=(stop,), name="computes"),
        threading.Thread(target=stop.wait, name="waits"),
    ]
    for thread in threads:
        thread.start()
    with running(Sampler(200, 1.0, seen.append, pauses=NO_PAUSES)) as sampler:
        assert until(lambda: sum(one.thread == "computes" for one in seen) > 20)
    stop.set()
    for thread in threads:
        thread.join()
    names = sampler.profile()
    computed = {one.state for one in seen if one.thread == "computes"}
    waited = {one.state for one in seen[4:] if one.thread == "waits"}
    assert waited == {State.LOCK}
    assert State.CPU in computed | {State.CPU if State.RUNQUEUE in computed else State.IO}
    stacks = {sample.thread: [frame.name for frame in names.frames_of(sample)] for sample in names.samples}
    assert "spin" in stacks["computes"]
    assert stacks["waits"][-3:] == ["Thread.run", "Thread._bootstrap_inner", "Thread._bootstrap"]


def work_a() -> None:
    end = time.perf_counter() + 0.012
    while time.perf_counter() < end:
        sum(range(50))


def work_b() -> None:
    end = time.perf_counter() + 0.012
    while time.perf_counter() < end:
        sum(range(50))


def test_samples_of_a_task_belong_to_its_span():
    provider = TracerProvider(sink=MemorySink(), shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    seen: list[Seen] = []
    links: dict[str, Link] = {}

    @contextmanager
    def in_span(name: str) -> Generator[None]:
        with tracer.start_as_current_span(name) as span:
            known = span.get_span_context()
            links[name] = Link(known.trace_id, known.span_id)
            yield

    async def task_a() -> None:
        with in_span("work_a"):
            for _ in range(10):
                await asyncio.sleep(work_a() or 0)

    async def task_b() -> None:
        with in_span("work_b"):
            for _ in range(10):
                await asyncio.sleep(work_b() or 0)

    async def main() -> None:
        await asyncio.gather(task_a(), task_b())

    with running(Sampler(500, 1.0, seen.append, pauses=NO_PAUSES)) as sampler:
        asyncio.run(main())
    tables = sampler.tables
    named = [
        (tables.frames[index].name, one.link)
        for one in seen
        for index in tables.stacks[one.stack]
        if one.link is not None
    ]
    found = {(name, link) for name, link in named if name in links}
    assert found == {("work_a", links["work_a"]), ("work_b", links["work_b"])}


def test_nothing_is_looked_at_while_a_critical_section_is_open():
    sampler = Sampler(500, 1.0, pauses=NO_PAUSES)
    era = sections().enter()
    try:
        with running(sampler):
            assert until(lambda: sampler.statistics().silent > 5)
            assert sampler.statistics().passes == 0
    finally:
        sections().leave(era)
        gc.enable()


def test_a_pass_that_costs_more_than_the_budget_is_made_less_often():
    sampler = Sampler(100, 0.01, pauses=NO_PAUSES)
    assert sampler.rate == 100
    sampler._cost_ns = 1_000_000.0
    assert sampler.rate == pytest.approx(10.0)


def test_a_thread_that_has_not_run_is_not_walked_again(monkeypatch: pytest.MonkeyPatch):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="waits")
    thread.start()
    seen: list[Seen] = []
    sampler = Sampler(10, 1.0, seen.append, pauses=NO_PAUSES)
    from tickspan.profiler import sampler as module

    walked: list[set[int]] = []
    take: Any = module.snapshot.take

    def noting(skipped: set[int], depth: int, variable: Any) -> Any:
        walked.append(set(skipped))
        return take(skipped, depth, variable)

    monkeypatch.setattr(module.snapshot, "take", noting)
    for _ in range(3):
        sampler.take(threading.get_ident())
        time.sleep(0.01)
    stop.set()
    thread.join()
    ident = thread.ident or 0
    assert ident not in walked[0]
    assert ident in walked[2] or sys.platform != "linux"
    assert len({one.stack for one in seen if one.thread == "waits"}) <= 2


def test_a_long_pause_of_the_collector_is_told_as_such():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="waits")
    thread.start()
    seen: list[Seen] = []
    sampler = Sampler(100, 1.0, seen.append, pauses=NO_PAUSES)
    sampler.take(threading.get_ident())
    began = time.perf_counter_ns()
    sampler._recent_pauses = ((began - 10**9, began + 10**9, 2),)
    sampler.take(threading.get_ident())
    stop.set()
    thread.join()
    assert [one.state for one in seen if one.thread == "waits"][-1] is State.GC


def test_a_profile_survives_its_file():
    sampler = Sampler(10, 1.0, service=("bot", "1"), pauses=NO_PAUSES)
    sampler.take(threading.get_ident())
    sampler.take(threading.get_ident())
    profile = sampler.profile()
    assert Profile.load(profile.dump()) == profile
    assert (profile.service, profile.version, profile.pid) == ("bot", "1", os.getpid())


@pytest.mark.parametrize("data", [b"", b"x" * 20, b"x\x9c\x03\x00"])
def test_what_is_no_profile_is_refused_with_a_reason(data: bytes):
    with pytest.raises(ValueError, match=r"xpect|delimiter"):
        Profile.load(data)


@pytest.mark.parametrize(
    ("hz", "cpu_budget", "told"),
    [(0, 0.1, "passes a second"), (-1, 0.1, "passes a second"), (10, 0.0, "share"), (10, 2.0, "share")],
)
def test_a_rate_or_a_budget_that_is_none_is_refused(hz: float, cpu_budget: float, told: str):
    with pytest.raises(ValueError, match=told):
        Sampler(hz, cpu_budget)


def test_tables_that_are_full_are_told_as_lost_samples(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tickspan.profiler.sampler._MOST_ROWS", 0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    sampler = Sampler(10, 1.0, pauses=NO_PAUSES)
    sampler.take(threading.get_ident())
    stop.set()
    thread.join()
    statistics = sampler.statistics()
    assert statistics.lost == sum(statistics.samples.values()) > 0
    assert sampler.profile().samples == ()


def test_no_frame_is_kept_after_a_look():
    class Order:
        """What must not be kept alive."""

    alive: list[Any] = []

    def holds(stop: threading.Event) -> None:
        import weakref

        order = Order()
        alive.append(weakref.ref(order))
        stop.wait()

    stop = threading.Event()
    thread = threading.Thread(target=holds, args=(stop,))
    thread.start()
    sampler = Sampler(10, 1.0, pauses=NO_PAUSES)
    assert until(lambda: bool(alive))
    sampler.take(threading.get_ident())
    stop.set()
    thread.join()
    assert alive[0]() is None


def test_the_switch_interval_is_put_back_after_each_look():
    before = sys.getswitchinterval()
    shortest = [before]

    def noting(_seen: Seen) -> None:
        shortest.append(sys.getswitchinterval())

    with running(Sampler(100, 1.0, noting, pauses=NO_PAUSES)) as sampler:
        assert until(lambda: sampler.statistics().passes > 3)
    assert (sys.getswitchinterval(), set(shortest)) == (before, {before})


def test_a_switch_interval_that_the_program_sets_meanwhile_stays():
    before = sys.getswitchinterval()
    sampler = Sampler(100, 1.0, pauses=NO_PAUSES)
    try:
        sampler._usual_s = before
        sys.setswitchinterval(0.002)
        sampler._put_back()
        assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)


def short_callback() -> None:
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end:
        sum(range(20))


def test_callbacks_that_are_shorter_than_the_switch_interval_are_seen():
    seen: list[Seen] = []
    sampler = Sampler(100, 1.0, seen.append, pauses=NO_PAUSES)

    def sees_it() -> bool:
        found = [
            sampler.tables.frames[index].name for one in seen for index in sampler.tables.stacks[one.stack]
        ]
        return "short_callback" in found

    async def main() -> None:
        deadline = time.monotonic() + 5
        while not sees_it() and time.monotonic() < deadline:
            short_callback()
            await asyncio.sleep(0.002)

    with running(sampler):
        asyncio.run(main())
    assert sees_it()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on a fork beside threads warns")
def test_a_forked_child_samples_itself_and_has_nothing_of_its_parent():
    with running(Sampler(200, 1.0, pauses=NO_PAUSES)) as sampler:
        assert until(lambda: sampler.statistics().passes > 2)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            began_with = sampler.statistics().passes
            stop = threading.Event()
            threading.Thread(target=stop.wait, daemon=True).start()
            is_sampling = until(lambda: sampler.statistics().passes > 1)
            os.write(writer, f"{began_with < 3} {is_sampling} {sampler.is_running}".encode())
            os._exit(0)
        os.close(writer)
        told = os.read(reader, 100).decode()
        os.close(reader)
        os.waitpid(child, 0)
    assert told == "True True True"


def test_a_switch_interval_is_noted_before_it_is_made_short_and_forgotten_after_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
):
    before, sampler = sys.getswitchinterval(), Sampler(100, 1.0, pauses=NO_PAUSES)
    noted: list[tuple[bool, bool]] = []
    change = sys.setswitchinterval

    def noting(seconds: float) -> None:
        noted.append((seconds == before, sampler._usual_s == before))
        change(seconds)

    monkeypatch.setattr(sys, "setswitchinterval", noting)
    sampler._set_short(before)
    sampler._put_back()
    assert noted == [(False, True), (True, True)]
    assert (sys.getswitchinterval(), sampler._usual_s) == (before, 0.0)


def test_a_program_whose_many_threads_run_keeps_its_switch_interval(monkeypatch: pytest.MonkeyPatch):
    changes: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", changes.append)
    sampler = Sampler(1_000, 1.0, pauses=NO_PAUSES)
    sampler._running = set(range(5))
    bell = snapshot.Bell(bytearray(1))
    assert not sampler._waited(bell, time.monotonic() + 0.001)
    sampler._running = set(range(4))
    assert not sampler._waited(bell, time.monotonic() + 0.001)
    assert len(changes) == 1  # the other one is not needed: it has not become short


def test_a_bell_that_was_rung_ends_every_wait():
    bell = snapshot.Bell(bytearray(1))
    assert not bell.wait(0.0)
    bell.ring()
    assert [bell.wait(60.0), bell.wait(60.0)] == [True, True]


def test_threads_that_have_ended_since_they_were_listed_have_no_clock_and_do_no_harm():
    ended = threading.Thread(target=int)
    ended.start()
    native_id = ended.native_id
    ended.join()
    assert until(lambda: snapshot.cpu_ns([native_id]) == [-1])
    assert (snapshot.delays_ns([native_id, 0]), snapshot.cpu_ns([0])) == ([-1, -1], [-1])
    with running(Sampler(1_000, 1.0, pauses=NO_PAUSES)) as sampler:
        assert until(lambda: burst() or sampler.statistics().passes > 50)
    assert len(sampler._threads) < 100


def burst() -> bool:
    """Five threads begin and end."""
    threads = [threading.Thread(target=sum, args=(range(2_000),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="there are no clocks of other threads")
def test_the_clocks_of_a_thread_are_the_kernels():
    native_id = threading.get_native_id()
    before_ns = time.thread_time_ns()
    (between_ns,) = snapshot.cpu_ns([native_id])
    assert before_ns <= between_ns <= time.thread_time_ns()
    told = int(Path(f"/proc/self/task/{native_id}/schedstat").read_text().split()[1])
    (later_ns,) = snapshot.delays_ns([native_id])
    assert told <= later_ns <= int(Path(f"/proc/self/task/{native_id}/schedstat").read_text().split()[1])


def recurse(depth: int, stop: threading.Event, deep: threading.Event) -> None:
    if depth:
        recurse(depth - 1, stop, deep)
    else:
        deep.set()
        stop.wait()


def test_of_a_recursion_10_000_deep_the_innermost_128_frames_are_kept():
    stop, deep = threading.Event(), threading.Event()
    limit, size = sys.getrecursionlimit(), threading.stack_size(256 << 20)
    sys.setrecursionlimit(20_000)
    try:
        thread = threading.Thread(target=recurse, args=(10_000, stop, deep), name="deep")
        thread.start()
        assert deep.wait(10)
        sampler = Sampler(10, 1.0, pauses=NO_PAUSES)
        sampler.take(threading.get_ident())
        stop.set()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    profile = sampler.profile()
    (names,) = [
        [frame.name for frame in profile.frames_of(sample)]
        for sample in profile.samples
        if sample.thread == "deep"
    ]
    assert (len(names), names[-1], "Event.wait" in names) == (128, "recurse", True)


def test_a_limit_of_the_process_keeps_looks_to_so_many_a_second():
    sampler = Sampler(100, 1.0, pauses=NO_PAUSES)
    limit_looks(10.0)
    try:
        assert sampler.rate == pytest.approx(10.0)
    finally:
        limit_looks(None)
    assert sampler.rate == pytest.approx(100.0)


def test_time_in_the_run_queue_counts_for_its_own_interval_only():
    seen: list[Seen] = []
    sampler = Sampler(10, 1.0, seen.append, pauses=NO_PAUSES)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="waits")
    thread.start()
    sampler.take(threading.get_ident())
    (known,) = [one for one in sampler._threads.values() if one.name == "waits"]
    second_ns = 1_000_000_000
    known.cpu_ns = known.delay_ns = known.at_ns = 0
    for at_ns, clocks_ns in (
        (1 * second_ns, (9 * second_ns // 10, second_ns // 10)),
        (2 * second_ns, (9 * second_ns // 10 + 1, second_ns // 10)),
        (3 * second_ns, (9 * second_ns // 10 + 2, second_ns)),
    ):
        sampler._note(known, clocks_ns, known.stack, None, at_ns, at_ns)
    stop.set()
    thread.join()
    states = [one.state for one in seen if one.thread == "waits"][-3:]
    assert states == [State.CPU, State.LOCK, State.RUNQUEUE]
