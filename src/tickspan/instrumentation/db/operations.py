"""The statements of one database: what is told of each text, worked out once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from tickspan.analysis.sql import Dialect, Flag, Kind, Statement, StatementCache, broken_rules
from tickspan.instrumentation.db.database import Database
from tickspan.instrumentation.operation import Attributes, Duration, Operation
from tickspan.instrumentation.positions import VOUCHED, vouch
from tickspan.recording import AttributeValue, Preset, SpanRecorder
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import (
    DB_CLIENT_OPERATION_DURATION,
    DB_NAMESPACE,
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_SYSTEM_NAME,
    TICKSPAN_DB_FINDINGS,
    TICKSPAN_DB_QUERY_FINGERPRINT,
)

DURATION: Final = Duration(
    DB_CLIENT_OPERATION_DURATION,
    "Duration of database client operations: execution and the time inside fetches.",
    (DB_SYSTEM_NAME, DB_NAMESPACE, DB_OPERATION_NAME, DB_QUERY_SUMMARY, SERVER_ADDRESS, SERVER_PORT),
)

Record = Callable[[float, Context], None]
"""`(seconds, context)`: adds to one series."""

_LONG_TEXT: Final = 2048
MAX_RECENT: Final = 1_000
"""Raw texts of one database in `recent`; the table is emptied when it is full."""
MAX_TOLD: Final = 10_000
"""Canonical texts of one database whose telling is remembered; the table is emptied when it is full."""

_COPY_IN: Final = re.compile(r"\bFROM (?:STDIN|PROGRAM|\?)", re.IGNORECASE)
_ENDS: Final = frozenset({"ABORT", "COMMIT", "END", "ROLLBACK"})


class ToldStatement:
    """One canonical text: the name and attributes of its spans, and what else is asked each time."""

    __slots__ = (
        "_noted",
        "attributes",
        "batch_series",
        "ends_transaction",
        "has_literals",
        "is_control",
        "is_placed",
        "is_write",
        "name",
        "preset",
        "series",
        "statement",
    )

    def __init__(self, statement: Statement, where: Attributes, system: str) -> None:
        self.statement = statement
        self.name = statement.summary or system
        self.attributes: dict[str, AttributeValue] = {
            **where,
            DB_QUERY_TEXT: statement.text,
            TICKSPAN_DB_QUERY_FINGERPRINT: statement.fingerprint,
        }
        if statement.summary:
            self.attributes[DB_QUERY_SUMMARY] = statement.summary
        self._noted = 0
        self.is_write = changes_rows(statement)
        self.is_control = statement.kind is Kind.TX
        """BEGIN, COMMIT, SAVEPOINT, …: not counted in a transaction."""
        self.has_literals = Flag.LITERALS in statement.flags
        self.ends_transaction = self.is_control and _ends(statement.text)
        self.is_placed = False
        """Whether a span has told from which line it was called."""
        self.series: Record | None = None
        """What adds an execution that went well to the histogram; made by `measuring`."""
        self.batch_series: Record | None = None
        """The same for a batch."""
        self.preset: tuple[SpanRecorder | None, Preset | None] = (None, None)
        """Of which recorder, and the attributes as it takes them; made by `preset_for`."""
        self.note(statement)

    def __repr__(self) -> str:
        return f"<ToldStatement {self.statement.summary!r}>"

    def note(self, statement: Statement) -> None:
        """Another raw text has become this one: what its flags add is told from now on."""
        added = statement.flags.value & ~self._noted
        if added:
            self._noted |= added
            flags = Flag(self._noted)
            self.has_literals = Flag.LITERALS in flags
            broken = broken_rules(flags)
            if broken:
                self.attributes[TICKSPAN_DB_FINDINGS] = broken
                self.preset = (None, None)

    def with_finding(self, rule: str) -> tuple[str, ...]:
        """The rules that its texts break, and one that this execution does."""
        return (*broken_rules(Flag(self._noted)), rule)

    def batch(self, size: int) -> Attributes:
        """What a batch of two and more sets of parameters carries besides."""
        return {DB_OPERATION_NAME: self._batch_name(), DB_OPERATION_BATCH_SIZE: size}

    def preset_for(self, recorder: SpanRecorder | None) -> Preset | None:
        """The attributes as `recorder` takes them, kept for the next span; None where it does not."""
        noted = self._noted
        made = None if recorder is None else recorder.preset(self.attributes)
        self.preset = (recorder, made)
        if noted != self._noted:  # by another thread
            self.preset = (None, None)
        return made

    def measuring(self, histogram: Histogram, *, is_batch: bool) -> Record:
        """What adds to `histogram`, which must be the same each time; kept for the next execution."""
        record = _series(histogram, self.measured(is_batch=is_batch))
        if is_batch:
            self.batch_series = record
        else:
            self.series = record
        return record

    def measured(self, *, is_batch: bool) -> dict[str, AttributeValue]:
        """The attributes of a measurement."""
        known = {**self.attributes, **({DB_OPERATION_NAME: self._batch_name()} if is_batch else {})}
        return {key: known[key] for key in DURATION.attributes if key in known}

    def _batch_name(self) -> str:
        return f"BATCH {self.statement.summary.partition(' ')[0].upper()}".rstrip()


class DatabaseOperations:
    """Operations on one database. Pure but for its memory of statements; safe from several threads."""

    __slots__ = ("_statements", "_told", "_where", "database", "recent")

    def __init__(self, database: Database) -> None:
        self.database = database
        self._where = database.attributes()
        self._statements = StatementCache(Dialect.of(database.system))
        self._told: dict[str, ToldStatement] = {}
        self.recent: dict[str, ToldStatement] = {}
        """Raw texts that came again, for a look-up without a call; `told` knows all others."""

    def __repr__(self) -> str:
        return f"<DatabaseOperations {self.database.system} {self._statements!r}>"

    def told(self, sql: str) -> ToldStatement:
        """What is told of a text; never raises."""
        statement = self._statements.get(sql)
        known = self._told.get(statement.text)
        if known is None:
            return self._learned(statement)
        if statement is not known.statement:
            known.note(statement)
        elif not known.has_literals and len(sql) <= _LONG_TEXT:  # texts with values in them come once
            if len(self.recent) >= MAX_RECENT:
                self.recent.clear()
            self.recent[sql] = known
        return known

    def transaction_end(self, verb: str, counts: Attributes) -> Operation:
        """A COMMIT, ROLLBACK or PREPARE that goes through the driver's own call, without a text."""
        return Operation(verb, {**self._where, DB_OPERATION_NAME: verb, **counts}, is_leaf=True)

    def _learned(self, statement: Statement) -> ToldStatement:
        if statement.text not in VOUCHED:
            vouch(statement.text)
        if len(self._told) >= MAX_TOLD:
            self._told.clear()
            self.recent.clear()
        return self._told.setdefault(
            statement.text, ToldStatement(statement, self._where, self.database.system)
        )


def changes_rows(statement: Statement) -> bool:
    """Whether the statement writes to a table."""
    is_copy_in = statement.kind is Kind.COPY and _COPY_IN.search(statement.text) is not None
    return Flag.WRITES in statement.flags or is_copy_in


def _ends(text: str) -> bool:
    words = text.upper().replace(";", " ").split()
    return bool(words) and words[0] in _ENDS and "TO" not in words and "PREPARED" not in words


def _series(histogram: Histogram, attributes: dict[str, AttributeValue]) -> Record:
    """What adds to one series: bound where the instrument can be, which costs a fraction."""
    bind: Any = getattr(histogram, "bind", None)
    if bind is not None:
        return bind(attributes).record

    def record(seconds: float, context: Context) -> None:
        histogram.record(seconds, attributes, context)

    return record
