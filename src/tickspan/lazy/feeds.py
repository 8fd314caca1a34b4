"""Fetching ahead: a thread, a task, or nobody but the one who iterates, bounded by chunks and bytes.

A feed is shared by the one who fetches and the one who consumes. Neither side holds a lock: each writes its
own counts, and they wake each other by queues that may be put to at any moment, also by the garbage
collector.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from tickspan.lazy.progress import Course, Delivery, RowsStatistics, seconds_since
from tickspan.lazy.rules import LazyRules
from tickspan.lazy.source import AsyncReader, Chunk, Reader
from tickspan.lazy.telling import Side, Stage, Telling, guard
from tickspan.lazy.token import Mark

T = TypeVar("T")

GRACE_S: Final = 0.02
"""How long a fetch may end by itself before it is cancelled."""
END_S: Final = 5.0
"""How long whoever closes waits for a fetch that cannot be cancelled."""
LET_GO_S: Final = 1.0
"""The same for a finalizer, which may run while its thread holds a lock that the fetch waits for."""


class Ended:
    """The last thing that comes out of a feed: how it has ended."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Feed(ABC, Generic[T]):
    """Counts and room, common to all ways of fetching."""

    def __init__(self, name: str, mark: Mark, rules: LazyRules, telling: Telling, is_resumed: bool) -> None:
        self._name = name
        self.course: Course[T] = Course(mark, rules)
        self.fetch_s = 0.0
        self.decode_s = 0.0
        self.producer_stall_s = 0.0
        self.consumer_stall_s = 0.0
        self.peak_bytes = 0
        self._rules = rules
        self._telling = telling
        self._made_chunks = self._taken_chunks = 0
        self._made_bytes = self._taken_bytes = 0
        self._is_asked = False
        self.is_open = True
        self.context = telling.begin(self, is_resumed=is_resumed)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<{type(self).__name__} of {self.name}, {self.waiting_chunks} waiting, {state}>"

    @property
    def name(self) -> str:
        """Of the dataset, in telemetry."""
        return self._name

    @property
    def waiting_chunks(self) -> int:
        """Fetched and not yet taken."""
        return self._made_chunks - self._taken_chunks

    @property
    def waiting_bytes(self) -> int:
        """Of what is fetched and not yet taken."""
        return self._made_bytes - self._taken_bytes

    def statistics(self) -> RowsStatistics:
        """What is known on this side; rows and chunks are counted by whoever hands them out."""
        sizer = self.course.sizer
        return RowsStatistics(
            chunk_rows=sizer.limit,
            row_bytes=sizer.row_bytes,
            fetch_s=self.fetch_s,
            decode_s=self.decode_s,
            consumer_stall_s=self.consumer_stall_s,
            producer_stall_s=self.producer_stall_s,
            waiting_chunks=self.waiting_chunks,
            waiting_bytes=self.waiting_bytes,
            peak_waiting_bytes=self.peak_bytes,
            is_open=self.is_open,
        )

    @property
    @abstractmethod
    def total_rows(self) -> int | None:
        """Of the whole dataset, where the reader knows it."""

    def _has_room(self) -> bool:
        """Whether one more chunk may be fetched."""
        waiting = self.waiting_chunks
        if not waiting:
            return self._rules.prefetch > 0 or self._is_asked
        sizer = self.course.sizer
        expected = sizer.limit * sizer.row_bytes
        return waiting < self._rules.prefetch and self.waiting_bytes + expected <= self._rules.prefetch_bytes

    def _took(
        self, reader: Reader[T] | AsyncReader[T], chunk: Chunk[T], seconds: float
    ) -> Delivery[T] | None:
        """Account for a fetch."""
        decode_s = min(chunk.decode_s, seconds)
        self.fetch_s += seconds - decode_s
        self.decode_s += decode_s
        self._telling.stage(Stage.FETCH, seconds - decode_s)
        if decode_s:
            self._telling.stage(Stage.DECODE, decode_s)
        if reader.notes.returned_rows is not None:
            self._telling.returned(len(chunk.rows), reader.notes.returned_rows)
        delivery = self.course.took(chunk, seconds)
        if delivery is not None:
            self._made_bytes += delivery.size_bytes
            self._made_chunks += 1
            self.peak_bytes = max(self.peak_bytes, self.waiting_bytes)
        return delivery

    def _taken(self, delivery: Delivery[T]) -> None:
        self._is_asked = False
        self._taken_bytes += delivery.size_bytes
        self._taken_chunks += 1

    def _stalled(self, side: Side, began: float) -> None:
        seconds = seconds_since(began)
        if side is Side.PRODUCER:
            self.producer_stall_s += seconds
        else:
            self.consumer_stall_s += seconds
        self._telling.stall(side, seconds)

    @abstractmethod
    def stop(self) -> None:
        """Ask for the end, without waiting: for `close` cannot be called everywhere."""


class DirectFeed(Feed[T]):
    """Fetches when asked, on the thread that asks."""

    def __init__(
        self,
        reader: Reader[T],
        name: str,
        mark: Mark,
        rules: LazyRules,
        telling: Telling,
        is_resumed: bool,
    ) -> None:
        super().__init__(name, mark, rules, telling, is_resumed)
        self._reader = reader

    @property
    def total_rows(self) -> int | None:
        """Of the whole dataset."""
        return self._reader.total_rows

    def take(self) -> Delivery[T] | Ended:
        """The next chunk, or the end."""
        error: BaseException | None = None
        try:
            while self.is_open and not self.course.is_ended:
                delivery = self._fetch()
                if delivery is not None:
                    self._taken(delivery)
                    return delivery
        except Exception as caught:  # noqa: BLE001 - the source's own: handed on as it is
            error = caught
        self.close()
        return Ended(error)

    def _fetch(self) -> Delivery[T] | None:
        began = time.perf_counter()
        chunk = self.context.run(self._reader.fetch, self.course.position, self.course.limit)
        return self._took(self._reader, chunk, seconds_since(began))

    def stop(self) -> None:
        """Give back what the reader holds."""
        self.close()

    def close(self) -> None:
        """Give back what the reader holds, once."""
        if self.is_open:
            self.is_open = False
            self.context.run(self._reader.close)


class ThreadFeed(Feed[T]):
    """Fetches ahead on a thread of its own, for a consumer on another thread or on an event loop."""

    def __init__(
        self,
        reader: Reader[T],
        name: str,
        mark: Mark,
        rules: LazyRules,
        telling: Telling,
        is_resumed: bool,
    ) -> None:
        super().__init__(name, mark, rules, telling, is_resumed)
        self._reader = reader
        self._ready: SimpleQueue[Delivery[T] | Ended] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._is_stopping = False
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=self.context.run, args=(self._produce,), name="tickspan-lazy", daemon=True
        )
        self._thread.start()

    @property
    def total_rows(self) -> int | None:
        """Of the whole dataset."""
        return self._reader.total_rows

    # --- the thread

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            while not self.course.is_ended and self._waits_for_room():
                delivery = self._fetch()
                if delivery is not None:
                    self._ready.put(delivery)
                    self._wake()
        except BaseException as caught:  # noqa: BLE001 - a thread's top: handed on as it is
            error = caught
        try:
            self._reader.close()
        except Exception as caught:  # noqa: BLE001 - the same
            error = error or caught
        self.is_open = False
        self._ready.put(Ended(error))
        self._wake()

    def _waits_for_room(self) -> bool:
        """Whether to fetch, once there is room; False when somebody has asked for the end."""
        began = 0.0
        while not self._is_stopping:
            _drain(self._room)
            if self._has_room():
                break
            began = began or time.perf_counter()
            self._room.get()
        if began:
            self._stalled(Side.PRODUCER, began)
        return not self._is_stopping

    def _fetch(self) -> Delivery[T] | None:
        began = time.perf_counter()
        chunk = self._reader.fetch(self.course.position, self.course.limit)
        return self._took(self._reader, chunk, seconds_since(began))

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, future)

    # --- the consumer

    def take(self) -> Delivery[T] | Ended:
        """The next chunk, or the end; waits for it."""
        item = self._poll()
        if item is None:
            began = time.perf_counter()
            self._ask()
            item = self._ready.get()
            self._stalled(Side.CONSUMER, began)
        return self._accepted(item)

    async def take_async(self) -> Delivery[T] | Ended:
        """As `take`, without blocking the event loop."""
        item = self._poll()
        if item is None:
            began = time.perf_counter()
            while item is None:
                item = await self._waited()
            self._stalled(Side.CONSUMER, began)
        return self._accepted(item)

    async def _waited(self) -> Delivery[T] | Ended | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiter = (loop, future)
        self._ask()
        item = self._poll()  # what came before the thread could see who waits
        if item is not None:
            self._waiter = None
            return item
        await future
        return self._poll()

    def _poll(self) -> Delivery[T] | Ended | None:
        try:
            return self._ready.get_nowait()
        except Empty:
            if os.getpid() != self._pid:
                raise RuntimeError(
                    "these rows are read by the parent process: go on in the child with "
                    "tickspan.lazy.rows(source, resume=rows.token)"
                ) from None
            return None

    def _ask(self) -> None:
        self._is_asked = True
        self._room.put(None)

    def _accepted(self, item: Delivery[T] | Ended) -> Delivery[T] | Ended:
        if not isinstance(item, Ended):
            self._taken(item)
            self._room.put(None)
        return item

    # --- the end

    def stop(self) -> None:
        """Ask the thread to end. Safe in a finalizer; a fetch that runs is cancelled by another thread."""
        if self._ask_to_end() and self._thread.is_alive():
            with suppress(RuntimeError):  # no thread starts while the interpreter shuts down
                threading.Thread(target=self.close, name="tickspan-lazy-close", daemon=True).start()

    def close(self, patience_s: float = END_S) -> None:
        """End the thread: a fetch that runs is cancelled if it does not end at once."""
        if not self._ask_to_end():
            return
        self._thread.join(GRACE_S)
        if self._thread.is_alive():
            guard.closing(self._reader.cancel, default=None)
            self._thread.join(patience_s)

    def _ask_to_end(self) -> bool:
        """Whether the caller may wait for the end: not on the thread itself, nor in a forked child."""
        self._is_stopping = True
        if os.getpid() != self._pid:
            return False
        self._room.put(None)
        return self._thread is not threading.current_thread()


class TaskFeed(Feed[T]):
    """Fetches ahead in a task of the event loop that iterates."""

    def __init__(
        self,
        reader: AsyncReader[T],
        name: str,
        mark: Mark,
        rules: LazyRules,
        telling: Telling,
        is_resumed: bool,
    ) -> None:
        super().__init__(name, mark, rules, telling, is_resumed)
        self._reader = reader
        self._ready: asyncio.Queue[Delivery[T] | Ended] = asyncio.Queue()
        self._room = asyncio.Event()
        self._is_stopping = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._produce(), name="tickspan-lazy", context=self.context)
        self._pid = os.getpid()

    @property
    def total_rows(self) -> int | None:
        """Of the whole dataset."""
        return self._reader.total_rows

    async def _produce(self) -> None:
        error: BaseException | None = None
        try:
            while not self.course.is_ended and await self._waits_for_room():
                began = time.perf_counter()
                chunk = await self._reader.fetch(self.course.position, self.course.limit)
                delivery = self._took(self._reader, chunk, seconds_since(began))
                if delivery is not None:
                    self._ready.put_nowait(delivery)
        except BaseException as caught:  # noqa: BLE001 - a task's top: handed on as it is
            error = caught
        try:
            await self._reader.close()
        except Exception as caught:  # noqa: BLE001 - the same
            error = error or caught
        finally:
            self.is_open = False
            self._ready.put_nowait(Ended(error))

    async def _waits_for_room(self) -> bool:
        """Whether to fetch, once there is room; False when somebody has asked for the end."""
        began = 0.0
        while not (self._is_stopping or self._has_room()):
            began = began or time.perf_counter()
            self._room.clear()
            await self._room.wait()
        if began:
            self._stalled(Side.PRODUCER, began)
        return not self._is_stopping

    async def take_async(self) -> Delivery[T] | Ended:
        """The next chunk, or the end; waits for it."""
        if self._ready.empty():
            began = time.perf_counter()
            self._is_asked = True
            self._room.set()
            item = await self._ready.get()
            self._stalled(Side.CONSUMER, began)
        else:
            item = self._ready.get_nowait()
        if not isinstance(item, Ended):
            self._taken(item)
            self._room.set()
        return item

    def stop(self) -> None:
        """Ask the task to end, from whatever thread; a fetch that runs is cancelled after a while.

        It gives everything back in the loop's next turns. A cancelled fetch costs the connection with most
        drivers, one that ends by itself does not.
        """
        if self._task.done() or self._loop.is_closed() or os.getpid() != self._pid:
            return
        if _is_running_here(self._loop):
            self._end()
        else:
            with suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._task.done() or self._is_stopping:
            return
        self._is_stopping = True
        self._room.set()
        _ending.add(self._task)  # the loop itself holds tasks weakly
        self._task.add_done_callback(_ending.discard)
        cancelling = self._loop.call_later(GRACE_S, self._task.cancel)
        self._task.add_done_callback(lambda _: cancelling.cancel())

    async def aclose(self) -> None:
        """End the task and wait until everything is given back."""
        self.stop()
        await asyncio.wait([self._task])
        self.is_open = False


_ending: Final[set[asyncio.Task[Any]]] = set()


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _drain(queue: SimpleQueue[None]) -> None:
    with suppress(Empty):
        while True:
            queue.get_nowait()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
