"""Heartbeats of event loops: what is late, which blocks there were, and what ran meanwhile."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any

import pytest

from tickspan.recording.loops import Block, Load, Loops, LoopWatch, News, Overlap
from tickspan.recording.ticker import Ticker

MS = 1_000_000
symbol: ContextVar[str] = ContextVar("symbol")


class Clock:
    """Nanoseconds that the test sets."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * MS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


def in_a_loop(body: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await body(asyncio.get_running_loop())

    asyncio.run(main())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - a beat sets no event
        await asyncio.sleep(0.001)


def watched(loop: asyncio.AbstractEventLoop, clock: Clock, news: News | None = None) -> LoopWatch:
    made = LoopWatch(loop, "main", 0.1, news, clock, clock)
    made.begin()
    return made


def test_a_beat_that_comes_late_is_a_block(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        news = News()
        watch = watched(loop, clock, news)
        clock.now_ns += 105 * MS
        watch.beat()
        clock.now_ns += 350 * MS
        watch.beat()
        assert [late for _, late in news.lates] == [0.005, 0.1, 0.2, 0.25]
        assert list(news.blocks) == [("main", Block(1_205 * MS, 1_455 * MS))]

    in_a_loop(body)


def test_beats_that_a_block_lets_be_missed_were_late_too_and_are_told_while_it_goes_on(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        news = News()
        watch = watched(loop, clock, news)
        clock.now_ns += 320 * MS
        from_outside(watch.look)
        meanwhile = [late for _, late in news.lates]
        clock.now_ns += 100 * MS
        watch.beat()
        clock.now_ns += 100 * MS
        watch.beat()
        assert (meanwhile, [late for _, late in news.lates]) == ([0.1, 0.2], [0.1, 0.2, 0.3, 0.32, 0.0])

    in_a_loop(body)


def from_outside(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_a_block_that_lasts_is_told_once_before_it_ends(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        news = News()
        watch = watched(loop, clock, news)
        for seconds in (1, 5, 5, 10, 9):
            clock.now_ns += seconds * 1_000 * MS
            from_outside(watch.look)
        told = [(block.stop_ns - block.start_ns, block.is_over) for _, block in news.blocks]
        clock.now_ns += 100 * MS
        watch.beat()
        overlap = watch.overlap(0, clock.now_ns)
        assert (told, len(news.blocks), overlap and overlap.delay_ns) == (
            [(10_900 * MS, False)],
            1,
            30_000 * MS,
        )

    in_a_loop(body)


def test_a_loop_that_is_closed_while_it_is_blocked_leaves_its_block(clock: Clock) -> None:
    news = News()
    loop = asyncio.new_event_loop()
    watch = watched(loop, clock, news)

    def blocks() -> None:
        watch.resume()
        clock.now_ns += 400 * MS
        from_outside(watch.look)
        clock.now_ns += 100 * MS
        from_outside(watch.look)
        loop.stop()

    loop.call_soon(blocks)
    loop.run_forever()
    loop.close()
    clock.now_ns += 100 * MS
    watch.look()
    watch.look()
    ((_, block),) = news.blocks
    assert (block.stop_ns - block.start_ns, block.places[-1].code.co_name) == (400 * MS, "blocks")


def test_what_lies_between_two_runs_of_a_loop_is_no_block(clock: Clock) -> None:
    news = News()
    loop = asyncio.new_event_loop()
    watches: list[LoopWatch] = []

    async def first() -> None:
        watches.append(watched(loop, clock, news))

    async def second() -> None:
        from_outside(watches[0].look)  # it comes too late to see that the loop was stopped
        watches[0].beat()

    loop.run_until_complete(first())
    clock.now_ns += 170 * MS
    loop.run_until_complete(second())
    loop.close()
    assert (list(news.blocks), list(news.lates)) == ([], [])


def test_the_first_callback_of_a_second_run_is_measured_from_its_first_span_on(clock: Clock) -> None:
    news = News()
    loop = asyncio.new_event_loop()
    watches: list[LoopWatch] = []

    async def first() -> None:
        watches.append(watched(loop, clock, news))

    async def second() -> None:
        watches[0].resume()
        clock.now_ns += 400 * MS
        watches[0].resume()
        watches[0].beat()

    loop.run_until_complete(first())
    clock.now_ns += 60_000 * MS
    watches[0].look()
    loop.run_until_complete(second())
    loop.close()
    assert [block.stop_ns - block.start_ns for _, block in news.blocks] == [300 * MS]


def test_the_load_of_a_loop_is_the_cpu_time_of_its_thread_or_how_late_it_is(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        quiet = Quiet(loop, clock)
        quiet.beat(10, 30 * MS)
        loads = [quiet.watch.load]
        clock.now_ns += 500 * MS
        loads.append(quiet.watch.load_now())
        quiet.beat(1)
        loads.append(quiet.watch.load)
        assert loads == [
            Load(300 * MS, 1_000 * MS),
            Load(700 * MS, 1_500 * MS),
            Load(800 * MS, 1_600 * MS),
        ]

    in_a_loop(body)


def test_a_loop_is_named_after_its_thread_without_the_threads_number() -> None:
    loops = Loops(lambda: Ticker(has_thread=False))
    names: list[str] = []

    def watch() -> None:
        loop = asyncio.new_event_loop()
        names.append(loops.watch(loop).name)
        loop.close()

    for name in ("Thread-12 (feed)", "ThreadPoolExecutor-0_3", "md2", "7"):
        thread = threading.Thread(target=watch, name=name)
        thread.start()
        thread.join()
    assert names == ["Thread (feed)", "ThreadPoolExecutor", "md2", "7"]


def test_the_marks_say_when_the_first_of_all_loops_may_be_late() -> None:
    loops = Loops(lambda: Ticker(has_thread=False))
    slow, quick = asyncio.new_event_loop(), asyncio.new_event_loop()
    marks = [loops.marks.late_ns]
    first = loops.watch(slow, period_s=0.5)
    marks.append(loops.marks.late_ns)
    second = loops.watch(quick, period_s=0.1)
    marks.append(loops.marks.late_ns)
    loops.stop()
    marks.append(loops.marks.late_ns)
    slow.close()
    quick.close()
    assert marks[0] == marks[3] == first.late_at_ns == second.late_at_ns == sys.maxsize
    assert marks[2] < marks[1] < sys.maxsize


def test_another_loop_at_the_same_place_is_met_anew() -> None:
    loops = Loops(lambda: Ticker(has_thread=False))
    loop = asyncio.new_event_loop()
    loops.meet(loop)
    known = [loops.marks.loop_id == id(loop)]
    loop.close()
    del loop
    gc.collect()
    known.append(loops.marks.loop_id == 0)
    loops.stop()
    assert known == [True, True]


def test_a_time_has_in_common_with_a_block_what_overlaps(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        watch = watched(loop, clock)
        clock.now_ns += 350 * MS
        watch.beat()
        assert watch.overlap(0, 1_200 * MS) == Overlap(100 * MS)
        assert watch.overlap(1_200 * MS, 2_000 * MS) == Overlap(150 * MS)
        assert watch.overlap(1_340 * MS, 1_400 * MS) is None

    in_a_loop(body)


def test_a_block_that_goes_on_counts_too(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        watch = watched(loop, clock)
        is_late = [watch.late_at_ns < clock.now_ns]
        clock.now_ns += 300 * MS
        is_late.append(watch.late_at_ns < clock.now_ns)
        assert (is_late, watch.overlap(1_000 * MS, 1_300 * MS)) == ([False, True], Overlap(200 * MS))

    in_a_loop(body)


def test_the_stack_and_the_span_of_what_blocks_are_taken_once(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        news = News()
        watch = watched(loop, clock, news)
        symbol.set("BTC")
        asked: list[str] = []

        def span_of(context: Context) -> str:
            asked.append(context[symbol])
            return f"span of {context[symbol]}"

        def from_outside() -> None:
            thread = threading.Thread(target=watch.look, args=(span_of,))
            thread.start()
            thread.join()

        from_outside()
        clock.now_ns += 151 * MS
        from_outside()
        from_outside()
        clock.now_ns += 99 * MS
        watch.beat()
        ((_, block),) = news.blocks
        names = [place.code.co_name for place in block.places]
        assert (names[-3:], asked, block.span) == (
            ["from_outside", "body", "main"],
            ["BTC"],
            "span of BTC",
        )

    in_a_loop(body)


def test_quick_heartbeats_see_shorter_blocks(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        news = News()
        watch = LoopWatch(loop, "main", 0.02, news, clock, clock)
        watch.begin()
        clock.now_ns += 29 * MS
        watch.beat()
        clock.now_ns += 40 * MS
        watch.beat()
        assert list(news.blocks) == [("main", Block(1_049 * MS, 1_069 * MS))]

    in_a_loop(body)


def test_a_look_says_when_the_next_beat_would_be_overdue(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        watch = watched(loop, clock)
        again = [watch.look()]
        clock.now_ns += 110 * MS
        again.append(watch.look())
        clock.now_ns += 40 * MS
        again.append(watch.look())
        assert (again, bool(watch.overlap(0, clock.now_ns))) == ([0.15, 0.04, 0.1], True)

    in_a_loop(body)


class Quiet:
    """A loop whose thread uses as much of its CPU as the test says, and beats when the test says."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.clock = clock
        self.cpu_ns = 0
        self.watch = LoopWatch(loop, "main", 0.1, None, clock, clock, lambda: self.cpu_ns)
        self.watch.begin()

    def beat(self, times: int, cpu_ns: int = 0) -> bool:
        """Whether it rests after so many beats that are in time."""
        for _ in range(times):
            self.clock.now_ns += 1_000 * MS if self.watch.is_resting else 100 * MS
            self.cpu_ns += cpu_ns
            self.watch.beat()
        return self.watch.is_resting


def test_a_loop_that_has_nothing_to_do_beats_once_a_second(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        quiet = Quiet(loop, clock)
        rests = [quiet.beat(49, MS), quiet.beat(1, MS)]
        due = quiet.watch.late_at_ns - clock.now_ns
        assert (rests, due) == ([False, True], 1_050 * MS)

    in_a_loop(body)


def test_a_loop_whose_thread_works_or_that_is_blocked_does_not_rest(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        quiet = Quiet(loop, clock)
        rests = [quiet.beat(100, 3 * MS), quiet.beat(49)]
        clock.now_ns += 100 * MS
        rests.append(quiet.beat(1))
        rests.append(quiet.beat(50))
        assert rests == [False, False, False, True]

    in_a_loop(body)


def test_a_loop_that_rests_beats_quickly_again_when_its_thread_works(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        quiet = Quiet(loop, clock)
        assert [quiet.beat(50), quiet.beat(3), quiet.beat(1, 30 * MS), quiet.beat(49)] == [
            True,
            True,
            False,
            False,
        ]

    in_a_loop(body)


def test_a_span_lets_a_loop_beat_quickly_until_it_has_ended(clock: Clock) -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        quiet, woken = Quiet(loop, clock), list[int]()
        watch = quiet.watch
        watch.on_wake = lambda: woken.append(clock.now_ns)
        quiet.beat(50)
        clock.now_ns += 300 * MS
        watch.marks.open_spans = 1
        watch.wake()
        due = watch.late_at_ns - clock.now_ns
        rests = [watch.is_resting, quiet.beat(100)]
        watch.marks.open_spans = 0
        assert (due, woken, [*rests, quiet.beat(50)]) == (150 * MS, [6_300 * MS], [False, False, True])

    in_a_loop(body)


def test_a_beat_that_was_replaced_by_an_earlier_one_is_none() -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        watch = LoopWatch(loop, "main", 0.01)
        watch.is_resting = True
        watch.begin()
        watch._come(0)
        assert watch.beats == 0
        watch.wake()
        await until(lambda: watch.beats == 2)
        watch.stop()

    in_a_loop(body)


def test_loops_are_looked_at_as_often_as_they_beat() -> None:
    now = [0.0]
    ticker = Ticker(lambda: now[0], has_thread=False)
    loops = Loops(lambda: ticker)
    loop = asyncio.new_event_loop()
    loops.watch(loop)
    waits = [ticker.run_due()]
    loops.set_period(0.02)
    waits.append(ticker.run_due())
    loops.stop()
    loop.close()
    assert (waits, ticker.run_due()) == ([0.1, 0.02], -1.0)


def test_a_loop_that_was_stopped_meanwhile_kept_nobody_waiting(clock: Clock) -> None:
    loop = asyncio.new_event_loop()
    news = News()
    watch = watched(loop, clock, news)
    clock.now_ns += 60_000 * MS
    watch.look()
    watch.beat()
    loop.close()
    assert (list(news.blocks), list(news.lates), watch.is_over) == ([], [], True)


def test_a_watch_keeps_no_loop_alive(clock: Clock) -> None:
    loop = asyncio.new_event_loop()
    watch = watched(loop, clock)
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert (gone(), watch.is_over) == (None, True)


def test_a_heartbeat_keeps_nothing_of_the_context_in_which_it_began() -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        symbol.set("BTC")
        seen: list[str] = []

        class Spy(LoopWatch):
            def beat(self) -> None:
                seen.append(symbol.get("nothing"))

        Spy(loop, "main", 0.001).begin()
        await until(lambda: bool(seen))
        assert seen == ["nothing"]

    in_a_loop(body)


def test_a_real_loop_beats() -> None:
    async def body(loop: asyncio.AbstractEventLoop) -> None:
        watch = LoopWatch(loop, "main", 0.001)
        watch.begin()
        await until(lambda: watch.beats >= 3)
        watch.stop()

    in_a_loop(body)


class OwnTime(asyncio.SelectorEventLoop):
    """A loop that may keep a time of its own."""


def test_only_stock_loops_are_watched_unasked() -> None:
    loops = Loops(lambda: Ticker(has_thread=False))
    stock, own = asyncio.new_event_loop(), OwnTime()
    met = [loops.meet(stock) is not None, loops.meet(own) is not None, loops.meet(own) is not None]
    asked = loops.watch(own, "simulated")
    found = sorted(watch.name for watch in loops.watches())
    stock.close()
    own.close()
    assert (met, asked.name, found) == ([True, False, False], "simulated", ["MainThread", "simulated"])
    assert loops.watches() == ()


def test_uvloop_is_a_stock_loop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loops = Loops(lambda: Ticker(has_thread=False), period_s=0.001)

    async def main() -> None:
        watch = loops.meet(asyncio.get_running_loop())
        assert watch is not None
        await until(lambda: watch.beats >= 2)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    loops.stop()


def test_another_period_holds_from_the_next_beat_on() -> None:
    loops = Loops(lambda: Ticker(has_thread=False))
    loop = asyncio.new_event_loop()
    watch = loops.watch(loop)
    loops.set_period(0.02)
    known = loops.watch(loop, "renamed")
    loop.close()
    assert (watch.period_s, known is watch, watch.name) == (0.02, True, "renamed")
