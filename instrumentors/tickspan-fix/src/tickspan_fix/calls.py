"""Order calls that wait for the venue's word: from the sending to the report or deadline that ends them."""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from tickspan.instrumentation import Guard
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.trading import OrderCall, OrderOperation, Segment
from tickspan.trading.schedule import Schedule

from tickspan_fix.fields import Session

DEADLINE_S: Final = 30.0
"""After so long without an answer nobody knows what became of a request."""
TIMEOUT: Final = "timeout"
MAX_REMEMBERED: Final = 2_000
"""Ids that are remembered after their answer, to tell a repeated message from a new order."""

Ending = Callable[[OrderCall], None]


class Sent:
    """One order message on its way, in the hands of whoever answers it: any thread may end its call."""

    __slots__ = (
        "call",
        "due_ns",
        "is_over",
        "is_query",
        "msg_type",
        "number",
        "original_id",
        "request_id",
        "session",
        "stored_ns",
        "was_seen",
        "withheld",
    )

    def __init__(self, call: OrderCall, session: Session, msg_type: str, request_id: str) -> None:
        self.call = call
        self.is_query = call.operation is OrderOperation.QUERY
        self.session = session
        self.msg_type = msg_type
        self.request_id = request_id
        """ClOrdID, which is the order's own in a question, unless that has an id of its own."""
        self.original_id = call.request.original_client_id
        self.number: int | None = None
        """MsgSeqNum, once it has one."""
        self.due_ns = 0
        self.stored_ns: int | None = None
        """Since when the engine keeps it, for want of a session that is logged on."""
        self.was_seen = False
        """The engine has shown it to the application on its way out."""
        self.withheld: BaseException | None = None
        """The application has forbidden to send it."""
        self.is_over = False

    def __repr__(self) -> str:
        state = "over" if self.is_over else "stored" if self.stored_ns is not None else "waiting"
        return f"<Sent {self.msg_type} {self.request_id} {state}>"

    def store(self, now_ns: int) -> None:
        """The engine keeps the message until its session is logged on."""
        self.stored_ns = now_ns

    def hand_over(self, now_ns: int) -> None:
        """The message goes to the transport: for the first time, or (under a new number) once more."""
        if self.stored_ns is not None:
            self.call.waited(Segment.QUEUE_WAIT, (now_ns - self.stored_ns) / 1e9)
            self.stored_ns = None
        self.call.attempt(self.msg_type)


class Calls:
    """The order messages of one instrumentor, by id, by number and by age. Thread-safe.

    `now_ns` is the monotonic clock. `guard` stands around what happens in no call of the program's.
    """

    def __init__(self, now_ns: Callable[[], int], guard: Guard, deadline_s: float = DEADLINE_S) -> None:
        self._now_ns = now_ns
        self._guard = guard
        self._deadline_s = deadline_s
        self._by_id: dict[tuple[Session, str, bool], Sent] = {}
        self._by_original: dict[tuple[Session, str], Sent] = {}
        self._by_number: dict[tuple[Session, int], Sent] = {}
        self._by_age: deque[Sent] = deque()
        self._known: OrderedDict[tuple[Session, str], Sent | None] = OrderedDict()
        self._schedule = Schedule("tickspan-fix")
        self._is_look_due = False
        self._lock = threading.Lock()
        atexit.register(self.close)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Calls {len(self._by_id)} waiting>"

    def add(self, sent: Sent) -> None:
        """A message is about to be sent."""
        sent.due_ns = self._now_ns() + int(self._deadline_s * 1e9)
        with self._lock:
            self._by_id[sent.session, sent.request_id, sent.is_query] = sent
            if sent.call.operation is OrderOperation.CANCEL and sent.original_id is not None:
                self._by_original[sent.session, sent.original_id] = sent
            if not sent.is_query:
                self._remember((sent.session, sent.request_id), sent)
            self._by_age.append(sent)
            is_first, self._is_look_due = not self._is_look_due, True
        if is_first:
            self._schedule.after(self._deadline_s, self._look)

    def numbered(self, sent: Sent, number: int) -> None:
        """The message has got its MsgSeqNum."""
        with self._lock:
            sent.number = number
            if not sent.is_over:
                self._by_number[sent.session, number] = sent

    def silence(self, session: Session, client_id: str) -> None:
        """What the venue says of this id is not to be told."""
        with self._lock:
            self._remember((session, client_id), None)

    def is_silent(self, session: Session, client_id: str | None) -> bool:
        """Whether `silence` was asked for."""
        key = (session, client_id or "")
        return key in self._known and self._known[key] is None

    def sent_as(self, session: Session, client_id: str) -> Sent | None:
        """The message that first carried this id, also if it has been answered; the last 2,000 are known."""
        return self._known.get((session, client_id))

    def waiting(self, session: Session, request_id: str | None, *, is_query: bool = False) -> Sent | None:
        """The message, or the question, with this id that waits for its answer."""
        return self._by_id.get((session, request_id or "", is_query))

    def waiting_cancel(self, session: Session, original_id: str | None) -> Sent | None:
        """The cancel of the order with this id that waits for its answer."""
        return self._by_original.get((session, original_id or ""))

    def waiting_as(self, session: Session, number: int | None) -> Sent | None:
        """The message with this MsgSeqNum that waits for its answer."""
        return self._by_number.get((session, number)) if number is not None else None

    def end(self, sent: Sent, ending: Ending) -> None:
        """The message waits no longer: its call ends, unless it has ended."""
        with self._lock:
            if sent.is_over:
                return
            sent.is_over = True
            self._forget(sent)
        ending(sent.call)

    def close(self) -> None:
        """Whatever waits is given up: its fate is unknown."""
        atexit.unregister(self.close)
        self._give_up(tuple(self._by_id.values()))
        self._schedule.flush()

    def after_fork_in_child(self) -> None:
        """The parent waits for its answers; the child for those to what it sends itself."""
        self._lock = threading.Lock()
        self._is_look_due = False
        self._schedule.after_fork_in_child()
        for table in (self._by_id, self._by_original, self._by_number, self._by_age, self._known):
            table.clear()

    def _look(self) -> None:
        """Give up what has waited too long; come back when the next is due."""
        now_ns = self._now_ns()
        due: list[Sent] = []
        with self._lock:
            while self._by_age and (self._by_age[0].is_over or self._by_age[0].due_ns <= now_ns):
                due.append(self._by_age.popleft())
            next_ns = self._by_age[0].due_ns if self._by_age else None
            self._is_look_due = next_ns is not None
        self._give_up(due)
        if next_ns is not None:
            self._schedule.after((next_ns - now_ns) / 1e9, self._look)

    def _give_up(self, lost: Iterable[Sent]) -> None:
        for sent in lost:
            self._guard.closing(self.end, sent, _timed_out, default=None)

    def _remember(self, key: tuple[Session, str], sent: Sent | None) -> None:
        self._known[key] = sent
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def _forget(self, sent: Sent) -> None:
        _drop(self._by_id, (sent.session, sent.request_id, sent.is_query), sent)
        _drop(self._by_original, (sent.session, sent.original_id), sent)
        _drop(self._by_number, (sent.session, sent.number), sent)


def _drop(table: dict[Any, Sent], key: tuple[Any, ...], sent: Sent) -> None:
    """Take `sent` out, unless another one has taken its place."""
    if table.get(key) is sent:
        del table[key]


def _timed_out(call: OrderCall) -> None:
    call.fail(TIMEOUT)
