"""Statements as texts: each is read once, by the rules over statements, when there is time for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tickspan.analysis.findings import Finding
from tickspan.analysis.sql import Dialect, Flag, Statement, broken_rules
from tickspan.analysis.sql.rules.tokens import token_findings
from tickspan.analysis.traces import DatabaseCall, Sighting
from tickspan.processors.queries.sightings import sighting_in
from tickspan.processors.queries.store import QueryKey
from tickspan.semconv.db import TICKSPAN_DB_FINDINGS

if TYPE_CHECKING:
    from tickspan.analysis.sql.rules import Checker, Context
    from tickspan.analysis.sql.schema import Schema

__all__ = ["Seen", "Texts"]

PARSE_S: Final = 0.02
"""A text that would take longer is not parsed."""
_MAX_PENDING: Final = 5_000
_MAX_KNOWN: Final = 20_000
_MAX_CHECKERS: Final = 200
_FIRST_GUESS_S: Final = 1e-6
_WEIGHT: Final = 0.2
_TOO_LONG: Final = "time"
_TOO_MANY: Final = "backlog"


_MANY_TEXTS: Final = 3
"""At least so many raw texts are behind a statement that the application calls `literal_in_query`."""


class Seen(NamedTuple):
    """A sighting of one process, which may stand for several."""

    process: str
    sighting: Sighting
    times: int = 1


@dataclass(slots=True)
class _Known:
    """A statement that was seen: what was found in its text, and what happened since."""

    call: DatabaseCall
    process: str
    raw: frozenset[str]
    is_on_order_path: bool
    findings: tuple[Finding, ...] = ()
    is_pending: bool = True
    again: int = 1
    news: frozenset[str] = frozenset()
    """Rules that its text broke only when it was read again."""


class Texts:
    """For one thread. Bounded: beyond 5,000 statements that wait, new ones are skipped and counted."""

    def __init__(
        self,
        ignored: frozenset[str],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        parses: bool = True,
    ) -> None:
        """`ignored` are ids of rules that are not asked; without `parses` those that need no tree are."""
        self._ignored = ignored
        self._parses = parses
        self._monotonic = monotonic
        self._known: dict[QueryKey, _Known] = {}
        self._pending: deque[QueryKey] = deque()
        self._repeated: set[QueryKey] = set()
        self._checkers: dict[tuple[str, str, str], Checker] = {}
        self._schemas: dict[str, Schema] = {}
        self._skipped: list[tuple[str, str]] = []
        self._character_s = _FIRST_GUESS_S

    def __repr__(self) -> str:
        return f"<Texts {len(self._known)} statements, {len(self._pending)} wait>"

    def see(self, process: str, key: QueryKey, call: DatabaseCall, *, is_on_order_path: bool) -> None:
        """A statement ran; a new one, or one of which the application tells more, is put in line."""
        raw = _named_by_the_application(call)
        known = self._known.get(key)
        if known is None:
            self._remember(process, key, _Known(call, process, raw, is_on_order_path))
            return
        known.again += 1
        if raw - known.raw and not known.is_pending:
            known.raw |= raw
            known.call, known.process = call, process
            self._put_in_line(process, key, known)
        elif known.findings:
            self._repeated.add(key)
            if is_on_order_path and not known.is_on_order_path:
                known.is_on_order_path = True
                known.call, known.process = call, process

    def learn(self, namespace: str, schema: Schema) -> None:
        """The tables of a database are known, or are others: its statements are read again."""
        if self._schemas.get(namespace) == schema:
            return
        self._schemas[namespace] = schema
        for key, known in self._known.items():
            if key.namespace == namespace and not known.is_pending and len(self._pending) < _MAX_PENDING:
                known.is_pending = True
                self._pending.append(key)

    def work(self, budget_s: float) -> list[Seen]:
        """Read statements for that long; what was found in them, and in those that ran again."""
        end_s = self._monotonic() + budget_s
        while self._pending and self._monotonic() < end_s:
            key = self._pending.popleft()
            known = self._known.get(key)
            if known is not None:
                known.is_pending = False
                before = frozenset(finding.rule for finding in known.findings)
                known.findings = self._findings(key, known)
                known.news = frozenset(finding.rule for finding in known.findings) - before
                self._repeated.add(key)
        found = [seen for key in self._repeated for seen in self._sightings(key)]
        self._repeated.clear()
        return found

    def skipped(self) -> list[tuple[str, str]]:
        """Process and reason of each statement that was not analysed since this was asked before."""
        found, self._skipped = self._skipped, []
        return found

    def _remember(self, process: str, key: QueryKey, known: _Known) -> None:
        if len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = known
        self._put_in_line(process, key, known)

    def _put_in_line(self, process: str, key: QueryKey, known: _Known) -> None:
        known.is_pending = len(self._pending) < _MAX_PENDING
        if known.is_pending:
            self._pending.append(key)
        else:
            self._skipped.append((process, _TOO_MANY))

    def _findings(self, key: QueryKey, known: _Known) -> tuple[Finding, ...]:
        statement = known.call.statement
        if statement is None:
            return ()
        dialect = Dialect.of(key.system)
        if not self._parses:
            return token_findings(_context(statement, dialect, known.raw), self._ignored)
        return self._of_tree(key, known, statement, dialect)

    def _of_tree(
        self, key: QueryKey, known: _Known, statement: Statement, dialect: Dialect
    ) -> tuple[Finding, ...]:
        from tickspan.analysis.sql.parsed import (  # sqlglot, half a second: not without need
            Parsed,
            Reason,
            parse,
        )

        if len(statement.text) * self._character_s > PARSE_S:
            self._skipped.append((known.process, _TOO_LONG))
            parsed = Parsed(statement, (), (), frozenset())
        else:
            since_s = self._monotonic()
            parsed = parse(statement.text, dialect)
            spent_s = (self._monotonic() - since_s) / max(1, len(statement.text))
            self._character_s += _WEIGHT * (spent_s - self._character_s)
        for problem in parsed.problems:
            if problem.reason is not Reason.KIND:
                self._skipped.append((known.process, str(problem.reason)))
        parsed = replace(parsed, longest_list=0)  # lists are folded in canonical text
        context = _context(statement, dialect, known.raw)
        schema = self._schemas.get(key.namespace, context.schema)
        return self._checker(key).check(parsed, replace(context, schema=schema))

    def _checker(self, key: QueryKey) -> Checker:
        from tickspan.analysis.sql.rules import Checker  # as above

        database = (key.service, key.system, key.namespace)
        if database not in self._checkers:
            if len(self._checkers) >= _MAX_CHECKERS:
                del self._checkers[next(iter(self._checkers))]
            self._checkers[database] = Checker(ignore=self._ignored)
        return self._checkers[database]

    def _sightings(self, key: QueryKey) -> Iterator[Seen]:
        known = self._known[key]
        again, known.again = known.again, 0
        news, known.news = known.news, frozenset[str]()
        for finding in known.findings:
            times = max(again, finding.rule in news)
            if times:
                seen = sighting_in(known.call, finding, is_on_order_path=known.is_on_order_path)
                yield Seen(known.process, seen, times)


def _named_by_the_application(call: DatabaseCall) -> frozenset[str]:
    found = call.span.attributes.get(TICKSPAN_DB_FINDINGS, ())
    return frozenset(found) if isinstance(found, tuple) else frozenset()


def _context(statement: Statement, dialect: Dialect, raw: frozenset[str]) -> Context:
    from tickspan.analysis.sql.rules import Context  # as above

    flags = statement.flags
    for flag in Flag:
        if not raw.isdisjoint(broken_rules(flag)):
            flags |= flag
    has_many_texts = Flag.LITERAL_IN_QUERY in flags
    return Context(
        replace(statement, flags=flags | Flag.LITERALS if has_many_texts else flags),
        dialect,
        raw_texts=_MANY_TEXTS if has_many_texts else 1,
        blocks_event_loop="blocking_call_in_loop" in raw,
    )
