"""Questions to databases that the agent may ask: plans of statements, and what the catalog says of tables.

A thread of the agent asks: a plan when a statement is slow, when it became slower, and once a day; a catalog
once a day.
"""

from __future__ import annotations

import enum
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Never

from tickspan.analysis.sql import Kind
from tickspan.analysis.traces import DatabaseCall, Sighting
from tickspan.processors.queries.sightings import sighting_in
from tickspan.processors.queries.store import QueryKey
from tickspan.recording import diagnostics

if TYPE_CHECKING:
    from tickspan.analysis.findings import Finding
    from tickspan.analysis.plans import Plan
    from tickspan.analysis.sql.schema import Schema
    from tickspan.processors.queries.desks import Desk

__all__ = ["DAY_S", "Catalog", "Explained", "Plans", "Urgency"]

DAY_S: Final = 86_400.0
SHIFT_AGAIN_S: Final = 600.0
_MAX_WAITING: Final = 100
_MAX_ROUTINE: Final = 50
"""Of one database's; the rest of the line is for what is slow."""
_MAX_KNOWN: Final = 5_000
_EXPLAINED: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE})
_MAX_BODY: Final = 32 * 1024
_PACE_S: Final = 0.25
"""How often the line is looked at while budgets do not allow what waits in it."""


class Urgency(enum.IntEnum):
    """What is asked first."""

    CATALOG = 0
    SLOW = 1
    SHIFTED = 2
    ROUTINE = 3


@dataclass(frozen=True, slots=True)
class Explained:
    """What a database said of a statement.

    Attributes:
        process: whose statement it is.
        key: of the statement.
        call: a slow one, or just one.
        urgency: why it was asked.
        plan: of its statement.
        sightings: what rules say of the plan.
    """

    process: str
    key: QueryKey
    call: DatabaseCall
    urgency: Urgency
    plan: Plan
    sightings: tuple[Sighting, ...]

    @property
    def body(self) -> str:
        """The plan as JSON, at most 32 KiB: names and numbers."""
        text = json.dumps(asdict(self.plan)["root"], separators=(",", ":"), ensure_ascii=False)
        return text if len(text.encode()) <= _MAX_BODY else "{}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a database said of its tables.

    Attributes:
        process: whose call it was that made the agent ask.
        system: a `db.system.name`.
        namespace: of the database.
        schema: its tables, with sizes and statistics.
        findings: what rules say of its indexes.
    """

    process: str
    system: str
    namespace: str
    schema: Schema
    findings: tuple[Finding, ...]


@dataclass(order=True, frozen=True, slots=True)
class _Question:
    urgency: Urgency
    number: int
    process: str = field(compare=False)
    key: QueryKey = field(compare=False)
    call: DatabaseCall | None = field(compare=False)
    """None for a catalog."""
    is_on_order_path: bool = field(default=False, compare=False)


class Plans:
    """For one thread, which never waits; the thread that asks starts when it is needed.

    A refusal costs the answer for a day; what a database that cannot be reached was asked may be asked again.
    Both are told once for each database.
    """

    def __init__(self, addresses: Mapping[str, str], ignored: frozenset[str]) -> None:
        """`addresses` are DSNs by `db.namespace`; `ignored` are ids of rules that are not asked."""
        self._addresses = addresses
        self._ignored = ignored
        self._lately: dict[QueryKey, tuple[float, Urgency]] = {}
        self._read_s: dict[str, float] = {}
        self._asked = 0
        self._waiting: list[_Question] = []
        self._changed = threading.Condition()
        self._done: SimpleQueue[Explained | Catalog | _Question] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<Plans of {len(self._addresses)} databases, {len(self._waiting)} wait>"

    def knows(self, namespace: str) -> bool:
        """Whether that database may be asked."""
        return namespace in self._addresses

    def want(
        self,
        process: str,
        key: QueryKey,
        call: DatabaseCall,
        now_s: float,
        urgency: Urgency = Urgency.SLOW,
        *,
        is_on_order_path: bool = False,
    ) -> bool:
        """Ask for the plan of a call's statement, unless that was done lately; whether it is asked for.

        Lately is today; ten minutes ago when the statement became slower since. What was asked as a matter of
        routine is asked again when there is need.
        """
        statement = call.statement
        if statement is None or statement.kind not in _EXPLAINED or not self.knows(key.namespace):
            return False
        again_s = SHIFT_AGAIN_S if urgency is Urgency.SHIFTED else DAY_S
        asked_s, asked_for = self._lately.get(key, (-math.inf, urgency))
        if now_s - asked_s < again_s and asked_for <= urgency:
            return False
        question = _Question(urgency, self._asked, process, key, call, is_on_order_path)
        if not self._put(question, _MAX_ROUTINE if urgency is Urgency.ROUTINE else _MAX_WAITING):
            return False
        if len(self._lately) >= _MAX_KNOWN:
            del self._lately[next(iter(self._lately))]
        self._lately[key] = (now_s, urgency)
        return True

    def want_catalog(
        self, process: str, system: str, namespace: str, now_s: float, again_s: float = DAY_S
    ) -> bool:
        """Ask for the catalog of a database, unless that was done in the last `again_s`; whether it is."""
        if not self.knows(namespace) or now_s - self._read_s.get(namespace, -math.inf) < again_s:
            return False
        key = QueryKey("", system, namespace, "")
        if not self._put(_Question(Urgency.CATALOG, self._asked, process, key, None), _MAX_WAITING):
            return False
        self._read_s[namespace] = now_s
        return True

    def take(self) -> list[Explained | Catalog]:
        """What came since this was asked before."""
        found: list[Explained | Catalog] = []
        while not self._done.empty():
            one = self._done.get_nowait()
            if isinstance(one, _Question):
                self._lately.pop(one.key, None)
                self._read_s.pop(one.key.namespace if one.call is None else "", None)
            else:
                found.append(one)
        return found

    def _put(self, question: _Question, most: int) -> bool:
        with self._changed:
            if sum(one.key.namespace == question.key.namespace for one in self._waiting) >= most:
                return False
            self._asked += 1
            self._waiting.append(question)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tickspan-probes", daemon=True)
            self._thread.start()
        return True

    def _run(self) -> Never:
        from tickspan.analysis.plans.probe import Unreachable
        from tickspan.processors.queries.desks import Desk, said  # sqlglot, half a second: not without need

        with ExitStack() as stack:
            desks: dict[str, Desk] = {}
            while True:
                question = self._next(desks)
                namespace = question.key.namespace
                try:
                    if namespace not in desks:
                        made = Desk(self._addresses[namespace], self._ignored)
                        desks[namespace] = stack.enter_context(made)
                    self._done.put(_answer(question, desks[namespace]))
                except Unreachable as error:
                    self._done.put(question)  # nobody has asked it: it may be put again
                    self._tell(namespace, said(error))
                except Exception as error:  # noqa: BLE001 - the thread's top: a database may answer as it likes
                    self._tell(namespace, said(error))

    def _next(self, desks: Mapping[str, Desk], clock: Callable[[], float] = time.monotonic) -> _Question:
        """Waits for a question whose database may be asked by now."""
        with self._changed:
            while True:
                for question in sorted(self._waiting):
                    desk = desks.get(question.key.namespace)
                    if desk is None or desk.may_be_asked(clock()):
                        self._waiting.remove(question)
                        return question
                self._changed.wait(_PACE_S if self._waiting else None)

    def _tell(self, namespace: str, why: str) -> None:
        if namespace not in self._told:
            self._told.add(namespace)
            diagnostics.warning("no plan from database '%s': %s", namespace, why)


def _answer(question: _Question, desk: Desk) -> Explained | Catalog:
    key, call = question.key, question.call
    if call is None or call.statement is None:
        schema, findings = desk.read_catalog()
        return Catalog(question.process, key.system, key.namespace, schema, findings)
    plan, found = desk.explain(call.statement, with_values=question.urgency is not Urgency.ROUTINE)
    sightings = (sighting_in(call, finding, is_on_order_path=question.is_on_order_path) for finding in found)
    return Explained(question.process, key, call, question.urgency, plan, tuple(sightings))
