"""What an instruction does is read from bytecode: of frames that stand at a known place."""

from __future__ import annotations

import asyncio
import contextvars
import dis
import functools
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest

from tickspan.profiler.instructions import Instruction, instruction_at, line_at
from tickspan.profiler.states import Leaf


def standing(function: Callable[..., Any], *args: Any) -> FrameType:
    """The frame of `function` while what it calls runs: that calls `here`."""
    taken: list[FrameType] = []

    def here(*_: Any) -> None:
        frame: Any = sys._getframe()
        while frame.f_code is not function.__code__:
            frame = frame.f_back
        taken.append(frame)
        places.append((frame.f_code, frame.f_lasti))

    places: list[tuple[CodeType, int]] = []
    function(here, *args)
    found.append(places[0])
    return taken[0]


found: list[tuple[CodeType, int]] = []


def seen(function: Callable[..., Any], *args: Any) -> Instruction:
    standing(function, *args)
    return instruction_at(*found[-1])


def by_name(here: Callable[..., None]) -> None:
    globals()["called"] = here
    called(1, (2, 3))


def called(*_: Any) -> None:
    """Replaced while a test runs."""


def by_attribute(here: Callable[..., None]) -> None:
    holder: Any = type("Holder", (), {"deep": type("Deep", (), {"call_me": staticmethod(here)})})
    holder.deep.call_me(str(1), [*"ab"])


def by_variable(here: Callable[..., None]) -> None:
    here(functools.partial(int))


def by_context(here: Callable[..., None]) -> None:
    contextvars.copy_context().run(here)


def test_the_name_of_a_callee_is_that_of_the_load_that_begins_the_call():
    assert seen(by_name)[1:4] == (True, "called", False)
    assert seen(by_attribute)[1:4] == (True, "call_me", False)
    assert seen(by_context)[1:4] == (True, "run", False)


def test_what_a_variable_holds_has_no_name():
    assert seen(by_variable)[1:4] == (True, "here", True)


async def waiting(here: Callable[..., None]) -> None:
    here()


def test_code_of_coroutines_is_known_as_such():
    assert instruction_at(waiting.__code__, 0).is_coroutine
    assert not instruction_at(by_name.__code__, 0).is_coroutine


@contextmanager
def blocked(target: Callable[[], Any], release: Callable[[], Any]) -> Generator[FrameType]:
    """The innermost frame of a thread that waits in `target`."""
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    frames = sys._current_frames
    deadline = time.monotonic() + 5
    last = (None, -1)
    while time.monotonic() < deadline:
        frame = frames().get(thread.ident or 0)
        place = (frame, frame.f_lasti) if frame is not None else (None, -1)
        if frame is not None and place == last and frame.f_code.co_name in LEAVES:
            break
        last = place
        time.sleep(0.005)
    assert last[0] is not None
    yield last[0]
    release()
    thread.join(5)


LEAVES = {"take_lock", "take_item", "wait", "get", "select", "sleep_long"}
lock = threading.Lock()
items: queue.SimpleQueue[int] = queue.SimpleQueue()
event = threading.Event()
woken = threading.Event()


def take_lock() -> None:
    with lock:
        pass


def take_item() -> None:
    items.get()


def sleep_long() -> None:
    time.sleep(0.3)


def leaf_of(frame: FrameType) -> Leaf:
    return instruction_at(frame.f_code, frame.f_lasti).leaf


def test_waiting_for_a_lock_a_queue_or_an_event_is_a_lock():
    lock.acquire()
    with blocked(take_lock, lock.release) as frame:
        assert leaf_of(frame) is Leaf.LOCK
    with blocked(take_item, lambda: items.put(1)) as frame:
        assert leaf_of(frame) is Leaf.LOCK
    with blocked(event.wait, event.set) as frame:
        assert leaf_of(frame) is Leaf.LOCK


def test_a_loop_in_its_selector_and_a_sleeper_are_idle():
    loop = asyncio.new_event_loop()
    with blocked(loop.run_forever, lambda: loop.call_soon_threadsafe(loop.stop)) as frame:
        assert leaf_of(frame) is Leaf.IDLE
    loop.close()
    with blocked(sleep_long, lambda: None) as frame:
        assert leaf_of(frame) is Leaf.IDLE


def add(left: int, right: int) -> int:
    return left + right


def test_an_instruction_that_calls_nothing_is_no_call():
    leaves = {instruction_at(add.__code__, offset).leaf for offset in range(0, len(add.__code__.co_code), 2)}
    assert leaves == {Leaf.NO_CALL}


@pytest.mark.parametrize("offset", [-1, 0])
def test_a_line_is_one_of_the_function_or_unknown(offset: int):
    assert line_at(add.__code__, offset) in {0, add.__code__.co_firstlineno}


def test_of_generated_code_beyond_64_kib_lines_are_told_and_callees_are_not():
    code = compile("\n".join(f"price = weigh({line})" for line in range(20_000)), "generated", "exec")
    calls = [one.offset for one in dis.get_instructions(code) if one.opname.startswith("CALL")]
    last = max(calls)
    assert (line_at(code, last), line_at(code, calls[0]), line_at(code, len(code.co_code))) == (
        20_000,
        1,
        20_000,
    )
    assert instruction_at(code, last)[:4] == (Leaf.CALL, True, "", True)


def test_a_name_beyond_the_256th_is_found():
    names = ", ".join(f"name_{number}" for number in range(300))
    code = compile(f"({names})\nname_299.other(1)", "generated", "exec")
    last = max(one.offset for one in dis.get_instructions(code) if one.opname.startswith("CALL"))
    assert instruction_at(code, last)[1:4] == (True, "other", False)
