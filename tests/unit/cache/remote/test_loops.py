"""What belongs to a loop is given back there, however the loop ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from tickspan.cache.remote import loops
from tickspan.cache.remote.loops import PerLoop


class _Thing:
    """Says what becomes of it."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def leave(self) -> None:
        self._told.append("left" if asyncio.get_running_loop() else "left outside")

    def abandon(self) -> None:
        self._told.append("abandoned")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def things(told: list[str]) -> PerLoop[_Thing]:
    return PerLoop(lambda _: _Thing(told))


async def _here(things: PerLoop[Any]) -> Any:
    return things.here()


def test_each_loop_has_one(things: PerLoop[_Thing]):
    async def twice() -> tuple[_Thing, _Thing]:
        return things.here(), things.here()

    one, same = asyncio.run(twice())
    other = asyncio.run(_here(things))
    assert (one is same, one is other) == (True, False)


def test_without_a_loop_there_is_none(things: PerLoop[_Thing]):
    with pytest.raises(RuntimeError):
        things.here()


def test_it_leaves_before_its_loop_is_closed(things: PerLoop[_Thing], told: list[str]):
    asyncio.run(_here(things))
    assert (told, things.known, loops._keepers, loops._residents) == (["left"], {}, {}, {})


def test_a_loop_that_was_closed_without_a_word_is_found_by_the_next(things: PerLoop[_Thing], told: list[str]):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_here(things))
    loop.close()
    assert told == []
    asyncio.run(_here(things))
    assert (told, things.known, loops._keepers, loops._residents) == (["abandoned", "left"], {}, {}, {})


def test_one_that_was_forgotten_leaves_its_loop(told: list[str]):
    async def scene() -> None:
        asyncio.get_running_loop()
        await _here(PerLoop(lambda _: _Thing(told)))
        gc.collect()
        await asyncio.sleep(0)
        assert (told, len(loops._keepers)) == (["left"], 1)

    asyncio.run(scene())
    assert (told, loops._keepers) == (["left"], {})


def test_closing_reaches_loops_of_other_threads(things: PerLoop[_Thing], told: list[str]):
    is_there, may_end = threading.Event(), threading.Event()

    async def stay() -> None:
        things.here()
        is_there.set()
        await asyncio.to_thread(may_end.wait, 5.0)

    thread = threading.Thread(target=asyncio.run, args=(stay(),))
    thread.start()
    assert is_there.wait(5.0)

    async def close() -> None:
        things.here()
        await things.aclose()

    asyncio.run(close())
    may_end.set()
    thread.join(5.0)
    assert (told, things.known) == (["left", "left"], {})


def test_a_child_process_drops_what_its_parent_had(things: PerLoop[_Thing], told: list[str]):
    async def scene() -> list[str]:
        things.here()
        things.after_fork_in_child()
        return list(told)

    assert asyncio.run(scene()) == ["abandoned"]
    assert (told, things.known) == (["abandoned"], {})
