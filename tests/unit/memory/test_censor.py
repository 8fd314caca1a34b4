"""A census counts objects by type and finds containers by what holds them; it runs no code of the program."""

from __future__ import annotations

import asyncio
import functools
import gc
import queue
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from tickspan import memory
from tickspan.memory.censor import Censor, Held
from tickspan.recording.loops import LOOPS

orders: dict[int, tuple[int, int]] = {}


class Book:
    """Of a program."""

    fills: list[int]

    def __init__(self) -> None:
        self.fills = []

    @property
    def secret(self) -> list[int]:
        raise AssertionError("a census runs no code of the program")

    def __len__(self) -> int:
        raise AssertionError("a census runs no code of the program")


class Slotted:
    """With slots, one of them empty."""

    __slots__ = ("missing", "queue")

    def __init__(self) -> None:
        self.queue: deque[int] = deque()


book = Book()
slotted = Slotted()
shelf: list[Book] = [Book()]


@pytest.fixture(autouse=True)
def _emptied() -> Iterator[None]:
    yield
    orders.clear()
    book.fills.clear()
    shelf[0].fills.clear()
    slotted.queue.clear()
    for subscribing in (subscribe, Desk.subscribe):
        for cell in subscribing.__closure__ or ():
            cell.cell_contents.clear()
    for seen in remembers.__defaults__ or ():
        seen.clear()
    priced.cache_clear()
    for container in (Desk.everything, desk.inbox.queue, desk.levels, desk.buffer):
        container.clear()
    dict.clear(ladder)
    desk.outbox = queue.SimpleQueue()


def mine(containers: tuple[Held, ...]) -> list[Held]:
    return [one for one in containers if one.name.startswith(__name__) and one.kind != "set"]


def test_a_container_is_named_by_what_holds_it() -> None:
    book.fills.extend(range(500_000))
    slotted.queue.extend(range(400_000))
    shelf[0].fills.extend(range(300_000))
    orders.update((number, (number, number)) for number in range(200_000))
    assert mine(Censor().take().containers) == [
        Held(f"{__name__}.book.fills", "list", 500_000, 0),
        Held(f"{__name__}.slotted.queue", "collections.deque", 400_000, 0),
        Held(f"{__name__}.shelf[...].fills", "list", 300_000, 0),
        Held(f"{__name__}.orders", "dict", 200_000, 0),
    ]


def subscribed() -> Callable[[int], None]:
    handlers: list[int] = []
    return lambda number: handlers.extend(range(number))


@functools.cache
def priced(number: int) -> int:
    return number


def remembers(number: int, seen: list[int] = []) -> None:  # noqa: B006 - the mistake that is looked for
    seen.extend(range(number))


class Desk:
    """With containers where programs forget them."""

    everything: ClassVar[dict[int, int]] = {}
    subscribe = staticmethod(subscribed())

    def __init__(self) -> None:
        self.inbox: queue.Queue[int] = queue.Queue()
        self.outbox: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.levels: Counter[int] = Counter()
        self.later = functools.partial(remembers, 5)
        self.buffer = bytearray()


class Ladder(dict[int, int]):
    """A container of the program's own."""

    def __len__(self) -> int:
        raise AssertionError("a census runs no code of the program")


class Secretive(type):
    """A metaclass that wants to be asked nothing."""

    def __hash__(cls) -> int:
        raise AssertionError("a census runs no code of the program")

    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError("a census runs no code of the program")


class Proxy(metaclass=Secretive):
    """As lazy objects of frameworks."""

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as lazy objects have it
        raise AssertionError("a census runs no code of the program")


subscribe = subscribed()
desk = Desk()
ladder = Ladder()
proxy = object.__new__(Proxy)


def test_the_owner_is_found_wherever_programs_keep_things() -> None:
    censor = Censor()
    censor.take()
    subscribe(150_000)
    for number in range(151_000):
        priced(number)
        desk.outbox.put(number)
    remembers(152_000)
    Desk.everything.update(dict.fromkeys(range(153_000), 0))
    Desk.subscribe(154_000)
    desk.inbox.queue.extend(range(155_000))
    desk.levels.update(range(156_000))
    desk.buffer.extend(bytes(157_000 * 64))
    dict.update(ladder, dict.fromkeys(range(158_000), 0))
    taken = censor.take()
    assert [str(one).removeprefix(f"{__name__}.") for one in taken.containers[:10]] == [
        f"ladder: {__name__}.Ladder 0 -> 158,000",
        "desk.buffer: bytearray 0 -> 10,048,000",
        "desk.levels: collections.Counter 0 -> 156,000",
        "desk.inbox.queue: collections.deque 0 -> 155,000",
        "Desk.subscribe.handlers: list 0 -> 154,000",
        "Desk.everything: dict 0 -> 153,000",
        "remembers.seen: list 0 -> 152,000",
        "priced: functools.lru_cache 0 -> 151,000",
        "desk.outbox: queue.SimpleQueue 0 -> 151,000",
        "subscribe.handlers: list 0 -> 150,000",
    ]
    assert taken.owner == str(taken.containers[0])


def test_what_has_grown_comes_first() -> None:
    censor = Censor()
    orders.update((number, (number, number)) for number in range(200))
    book.fills.extend(range(500_000))
    censor.take()
    orders.update((number, (number, number)) for number in range(200, 500))
    assert mine(censor.take().containers)[:2] == [
        Held(f"{__name__}.orders", "dict", 500, 300),
        Held(f"{__name__}.book.fills", "list", 500_000, 0),
    ]


def test_a_container_is_found_although_it_was_frozen_and_holds_nothing_that_is_tracked() -> None:
    orders.update((number, (number, number)) for number in range(200_000))
    gc.collect()
    gc.freeze()
    assert Held(f"{__name__}.orders", "dict", 200_000, 0) in Censor().take().containers


def test_names_are_those_of_code_never_of_data() -> None:
    shelf[0].fills.extend(range(150))
    vars(shelf[0])["by_account"] = {"account 4711": list(range(300_000))}
    told = str(Censor().take(10.0))
    del shelf[0].by_account  # pyright: ignore[reportAttributeAccessIssue] - set above
    assert (f"{__name__}.shelf[...].by_account[...]: list of 300,000" in told, "4711" in told) == (
        True,
        False,
    )


def test_types_are_counted_with_their_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickspan.memory.censor._LISTED_S", 60.0)  # a run of all tests has many objects
    censor = Censor()
    censor.take(10.0)
    kept = [Slotted() for _ in range(2_000)]
    (first, *_) = (one for one in censor.take(10.0).types if one.name.endswith("Slotted"))
    assert (first.number, first.grown, first.size_bytes) == (
        2_001,
        len(kept),
        2_001 * Slotted.__basicsize__,
    )


def test_types_are_left_out_where_listing_them_would_stop_the_process() -> None:
    taken = Censor(lambda: 2_000_000).take()
    assert (taken.objects, taken.types, taken.declined) == (
        None,
        (),
        "declined: would stop the process for ~0.034 s",
    )


def test_after_a_freeze_only_what_was_born_since_is_listed() -> None:
    memory.warmed_up()
    try:
        taken = memory.census(0.01)
    finally:
        memory.get_memory_optimizer()._freeze = None
    assert taken.objects is not None
    assert taken.objects < 100_000


def test_what_a_waiting_task_holds_is_found() -> None:
    async def trade() -> None:
        mine = Slotted()
        mine.queue.extend(range(200_000))
        await asyncio.Event().wait()
        del mine

    async def main() -> tuple[Held, ...]:
        LOOPS.watch(asyncio.get_running_loop())
        task = asyncio.create_task(trade())
        await asyncio.sleep(0)
        try:
            return Censor().take().containers
        finally:
            task.cancel()

    name = f"test_what_a_waiting_task_holds_is_found.<locals>.trade() <{__name__}.Slotted>.queue"
    assert Held(name, "collections.deque", 200_000, 0) in asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="locals of frames are copies before 3.13")
def test_what_functions_of_threads_hold_is_found() -> None:
    local = list(range(200_000))
    names: list[Any] = [one.name for one in Censor().take().containers if one.length == len(local)]
    assert "test_what_functions_of_threads_hold_is_found().local" in names


def test_the_list_of_all_objects_is_dropped_within_a_second_however_busy_the_process_is() -> None:
    moments = iter(range(100))
    kept = [Slotted() for _ in range(20_000)]
    taken = Censor(lambda: 0, lambda: float(next(moments))).take()
    assert (taken.objects, taken.types, taken.declined) == (
        None,
        (),
        "stopped after 0.8 s: the process is too busy to count them",
    )
    assert (len(kept), next(moments) <= 3) == (20_000, True)


def test_a_container_says_how_it_has_grown() -> None:
    assert [str(Held("oms.book._orders", "dict", 240_000, grown)) for grown in (120_000, 0)] == [
        "oms.book._orders: dict 120,000 -> 240,000",
        "oms.book._orders: dict of 240,000",
    ]


def test_nothing_is_kept_alive() -> None:
    taken = Censor().take(10.0)
    assert not [one for one in gc.get_referrers(book.fills) if one is taken]
    assert taken.longest_piece_s > 0


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="budget_s: expected seconds from 0 on, got -1"):
        memory.census(-1)
