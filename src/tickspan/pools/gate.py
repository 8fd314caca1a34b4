"""A gate before a pool: threads and tasks wait in one queue, and are let in one by one.

What may happen is decided by `Admission` under a lock; who was let in is woken after it. A permit is handed
over directly, so a waiter that is woken has it already. While nobody waits, permits are taken without the
lock.

Whoever gives a permit back never waits for the lock: it may be a finalizer, which runs wherever its thread
happens to be, in the middle of a step of this gate too. Who has the lock then looks again after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.pools.admission import Admission, Permit, Ticket


class GateTimeoutError(Exception):
    """Nobody has let the request in in time."""


class GatePermit(Permit):
    """Leave to ask the pool behind a gate."""

    __slots__ = ("_gate",)

    def __init__(self, gate: Gate, home: list[Permit]) -> None:
        self._gate = gate
        self.home = home

    def leave(self) -> None:
        """Give it back, once; from any thread, also in a finalizer."""
        self.home.append(self)
        gate = self._gate
        if gate.admission.waiting:
            gate.settle()


class Pass(Ticket):
    """A ticket of a gate, of a request that has to wait."""

    __slots__ = ("_future", "_wakeup")

    def for_thread(self) -> None:
        """A thread is going to wait."""
        self._future: asyncio.Future[None] | None = None
        self._wakeup = threading.Lock()
        self._wakeup.acquire()

    def for_task(self) -> None:
        """A task of the running loop is going to wait."""
        self._future = asyncio.get_running_loop().create_future()

    def wait(self, timeout_s: float | None) -> None:
        """As a thread, for as long at most."""
        self._wakeup.acquire(
            timeout=-1 if timeout_s is None else min(max(0.0, timeout_s), threading.TIMEOUT_MAX)
        )

    async def wait_async(self, timeout_s: float | None) -> None:
        """As a task."""
        assert self._future is not None
        try:
            async with asyncio.timeout(timeout_s):
                await self._future
        except TimeoutError:
            return

    def wake(self) -> bool:
        """Wake who waits; False where its event loop is closed."""
        future = self._future
        if future is None:
            self._wakeup.release()
            return True
        loop = future.get_loop()
        try:
            if loop is asyncio._get_running_loop():  # noqa: SLF001 - `get_running_loop` that does not raise
                _resolve(future)
            else:
                loop.call_soon_threadsafe(_resolve, future)
        except RuntimeError:
            return False
        return True


class Gate:
    """Lets as many in as the pool has room for.

    The pool's own count is asked where ours says that it is full, and once a second: there it is found if the
    pool was disposed of, or a connection left it another way.
    """

    def __init__(
        self,
        limit: int,
        lanes: Mapping[str, int],
        in_use: Callable[[], int | None],
        asking: Callable[[], int],
    ) -> None:
        """`in_use` is the pool's own count, `asking` how many requests wait or are just being served."""
        self.admission: Final = Admission(limit, lanes, partial(GatePermit, self))
        self.at_once: Final[Callable[[str], Any]] = self.admission.at_once
        """A permit of a lane for whoever need not wait, who gives it back by `leave`; None for the others."""
        self._in_use = in_use
        self._asking = asking
        self._lock = threading.Lock()
        self._has_news = False
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Gate {self.admission!r}>"

    @property
    def lanes(self) -> Mapping[str, int]:
        """Each lane's own permits."""
        return self.admission.lanes

    @property
    def free(self) -> int:
        """Permits that nobody has."""
        return self.admission.free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self.admission.waiting

    def ask(self, lane: str, prepare: Callable[[Pass], None]) -> Pass:
        """A pass that is in, or one that is to be waited for, for which `prepare` was called."""
        ticket = Pass(lane)
        prepare(ticket)
        admission = self.admission
        with self._lock:
            if admission.ask(ticket):
                return ticket
            let_in = [*admission.let_in(), *self._reconciled()]
        self._wake(other for other in let_in if other is not ticket)
        self._look_again()
        return ticket

    def wait(self, ticket: Pass, timeout_s: float | None) -> Any:
        """Wait as a thread for what `ask` has given. Returns the permit.

        Raises:
            GateTimeoutError: nobody left in time.
        """
        try:
            ticket.wait(timeout_s)
        except BaseException:
            self._abandon(ticket)
            raise
        return self._permit_of(ticket)

    async def wait_async(self, ticket: Pass, timeout_s: float | None) -> Any:
        """Wait as a task for what `ask` has given; one that is cancelled hands on what it was given.

        Raises:
            GateTimeoutError: nobody left in time.
        """
        try:
            await ticket.wait_async(timeout_s)
        except BaseException:
            self._abandon(ticket)
            raise
        return self._permit_of(ticket)

    def adjust(self, limit: int | None) -> None:
        """Follow the pool: its limit, and what it says is in use."""
        with self._lock:
            let_in = [] if limit is None else self.admission.resize(limit)
            let_in = [*let_in, *self.admission.let_in(), *self._reconciled()]
        self._wake(let_in)
        self._look_again()

    def settle(self) -> None:
        """A permit has come back while somebody waits. Does not wait for the lock."""
        self._has_news = True
        self._look_again()

    def after_fork_in_child(self) -> None:
        """Whoever waited is a thread of the parent."""
        self._lock = threading.Lock()
        self.admission.forget_waiting()

    def _look_again(self) -> None:
        """Whoever has had the lock, for those who did not get it meanwhile."""
        admission = self.admission
        while self._has_news and self._lock.acquire(blocking=False):
            try:
                self._has_news = False
                let_in = admission.let_in()
                if admission.waiting and not let_in:
                    let_in = self._reconciled()
            finally:
                self._lock.release()
            self._wake(let_in)

    def _abandon(self, ticket: Pass) -> None:
        with self._lock:
            let_in = self.admission.abandon(ticket)
        self._wake(let_in)
        self.settle()

    def _permit_of(self, ticket: Pass) -> Any:
        """What `ticket` has after its wait; one that has nothing waits no more."""
        if ticket.permit is None:
            with self._lock:
                if ticket.permit is None:
                    self.admission.abandon(ticket)
            self._look_again()
        if ticket.permit is None:
            raise GateTimeoutError
        return ticket.permit

    def _reconciled(self) -> list[Ticket]:
        entering = max(
            0, self._asking() - self.admission.waiting
        )  # first: who gets in meanwhile counts twice
        in_use = self._in_use()
        return [] if in_use is None else self.admission.reconcile(in_use + entering)

    def _wake(self, let_in: Iterable[Any]) -> None:
        for ticket in let_in:
            if not ticket.wake():
                self._abandon(ticket)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
