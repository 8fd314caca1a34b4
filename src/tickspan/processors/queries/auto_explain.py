"""Plans that PostgreSQL writes while statements run: auto_explain's notices, read on their connection.

The module has to be loaded (`session_preload_libraries = 'auto_explain'`) and the account allowed to set it
(`GRANT SET ON PARAMETER auto_explain.log_min_duration, … TO …`, from 15 on). A notice comes when the portal
of its statement is closed: inside a transaction that is during the next command, so a plan is matched by the
fingerprint of its `Query Text` with the last statements of the connection. Of two alike the younger counts.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from tickspan.analysis.plans import postgresql
from tickspan.analysis.plans.document import PlanFormatError, as_mapping, as_text, load
from tickspan.analysis.plans.model import Plan, PlanSource
from tickspan.analysis.plans.redact import compact, redact
from tickspan.analysis.sql import Dialect, Statement, canonicalise
from tickspan.instrumentation.notices import watch_connections
from tickspan.instrumentation.suppression import suppressed
from tickspan.recording import AttributeValue, Guard, diagnostics
from tickspan.semconv.db import (
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_SYSTEM_NAME,
    EVENT_QUERY_PLAN,
    TICKSPAN_DB_PLAN_COST,
    TICKSPAN_DB_PLAN_DURATION,
    TICKSPAN_DB_PLAN_HASH,
    TICKSPAN_DB_PLAN_SOURCE,
    TICKSPAN_DB_QUERY_FINGERPRINT,
)
from tickspan.version import __version__

__all__ = [
    "FACTS_QUERY",
    "AutoExplain",
    "AutoExplainStatistics",
    "PlanNotice",
    "RecentStatements",
    "ServerFacts",
    "Watch",
    "install",
    "read_notice",
    "refusal",
    "settings_query",
]

_NOTICE: Final = re.compile(r"duration: (?P<ms>[0-9.]+) ms  plan:\n(?P<json>[{\[].*)\Z", re.DOTALL)
_DECLARE: Final = re.compile(
    r'\s*DECLARE\s+(?:"(?:[^"]|"")*"|\w+)\s+(?:\w+\s+)*?CURSOR\s+(?:\w+\s+)*?FOR\s+', re.IGNORECASE
)
"""What stands before the statement of a server cursor."""
_REMEMBERED: Final = 32
_PER_SECOND: Final = 5
_MIN_VERSION: Final = 150_000
_PARAMETERS_SINCE: Final = 160_000
_MS: Final = 1e-3
_INSUFFICIENT_PRIVILEGE: Final = "42501"

_SCOPE: Final = "tickspan.queries"

FACTS_QUERY: Final = (
    "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('server_version_num')::int,"
    " pg_catalog.current_setting('auto_explain.log_analyze', true)"
)
"""Answered by one row: what `ServerFacts` is made of."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What decides whether a connection can be watched.

    Attributes:
        backend_pid: of the process that answers.
        known_pid: that the driver was told when it connected.
        version: `server_version_num`.
        is_loaded: whether auto_explain is.
    """

    backend_pid: int
    known_pid: int
    version: int
    is_loaded: bool


def refusal(facts: ServerFacts) -> str | None:
    """Why a connection is not watched, in one line with what to do; None when it can be."""
    if facts.backend_pid != facts.known_pid:
        return "a pooler stands before the server, where settings would leak to others: connect directly"
    if facts.version < _MIN_VERSION:
        return "PostgreSQL before 15 lets only superusers set auto_explain: use plans=probe"
    if not facts.is_loaded:
        return "auto_explain is not loaded: add it to session_preload_libraries"
    return None


def settings_query(version: int, *, min_duration_s: float, sample_rate: float) -> str:
    """One SELECT that sets auto_explain up for the session.

    Args:
        version: `server_version_num`.
        min_duration_s: statements that run shorter have no plan; 0 for all.
        sample_rate: share of the statements that are measured, 0 to 1.
    """
    wanted = {
        "log_analyze": "on",
        "log_timing": "off",
        "log_format": "json",
        "log_level": "notice",
        "sample_rate": f"{sample_rate:g}",
        "log_min_duration": f"{round(min_duration_s / _MS)}",
    }
    if version >= _PARAMETERS_SINCE:
        wanted["log_parameter_max_length"] = "0"
    calls = (
        f"pg_catalog.set_config('auto_explain.{name}', '{value}', false)" for name, value in wanted.items()
    )
    return f"SELECT {', '.join(calls)}"


@dataclass(frozen=True, slots=True)
class PlanNotice:
    """One plan that the server wrote.

    Attributes:
        statement: that it is for.
        plan: without data.
        document: the same as JSON of at most 32 KiB.
        duration_s: that the statement ran.
    """

    statement: Statement
    plan: Plan
    document: str
    duration_s: float


def read_notice(message: str) -> PlanNotice | None:
    """The plan in a notice's message; None for any other notice, and for a plan that cannot be read."""
    match = _NOTICE.match(message)
    if match is None:
        return None
    try:
        document = load(match["json"])
        plan = postgresql.plan_of(document, PlanSource.AUTO_EXPLAIN)
    except PlanFormatError:
        return None
    text = _DECLARE.sub("", as_text(as_mapping(document).get("Query Text")), count=1)
    return PlanNotice(
        statement=canonicalise(text, Dialect.POSTGRESQL),
        plan=plan,
        document=compact(redact(document, Dialect.POSTGRESQL)),
        duration_s=float(match["ms"]) * _MS,
    )


class RecentStatements:
    """The last statements of one connection, by fingerprint, with their spans."""

    __slots__ = ("_statements",)

    def __init__(self) -> None:
        self._statements: deque[tuple[str, SpanContext]] = deque(maxlen=_REMEMBERED)

    def __repr__(self) -> str:
        return f"<RecentStatements {len(self._statements)}>"

    def note(self, fingerprint: str, span: SpanContext) -> None:
        """A statement begins."""
        self._statements.append((fingerprint, span))

    def find(self, fingerprint: str) -> SpanContext | None:
        """The span of the youngest statement like this; None when it is none of the last 32."""
        for known, span in reversed(self._statements):
            if known == fingerprint:
                return span
        return None


@dataclass(frozen=True, slots=True)
class AutoExplainStatistics:
    """Counts since the beginning."""

    connections: int
    plans: int
    unmatched: int
    dropped: int


class AutoExplain:
    """Watches connections, and tells each plan as an event in the trace of its statement.

    Reading a plan takes some tenths of a millisecond on the application's thread: five a second are read, and
    the others counted as dropped. Safe from several threads: what a race may do is to read one more.

    Args:
        logger: that events are written to.
        min_duration_s: statements that run shorter have no plan.
        sample_rate: share of the statements that the server measures, 0 to 1.
        monotonic_s: the clock that bounds how many are read.
    """

    def __init__(
        self,
        logger: Logger,
        *,
        min_duration_s: float,
        sample_rate: float = 1.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._min_duration_s = min_duration_s
        self._sample_rate = sample_rate
        self._monotonic_s = monotonic_s
        self._guard = Guard("processor", "auto_explain")
        self._second = 0
        self._read_in_second = 0
        self._connections = self._plans = self._unmatched = self._dropped = 0
        self._is_told = False

    def __repr__(self) -> str:
        return f"<AutoExplain {self._connections} connections, {self._plans} plans, {self._dropped} dropped>"

    def statistics(self) -> AutoExplainStatistics:
        """What was done so far."""
        return AutoExplainStatistics(self._connections, self._plans, self._unmatched, self._dropped)

    def connected(self, connection: Any) -> Watch | None:
        """Prepare and watch a connection of psycopg or psycopg2; None when it cannot be."""
        try:
            with suppressed():
                if hasattr(connection, "add_notice_handler"):
                    return self._prepare_psycopg(connection)
                if hasattr(connection, "get_transaction_status") and not connection.async_:
                    return self._prepare_psycopg2(connection)
        except Exception as error:  # noqa: BLE001 - the driver's: the application goes on without plans
            self._tell_failure(error)
        return None

    async def connected_async(self, connection: Any) -> Watch | None:
        """The same for psycopg's asynchronous connections, and asyncpg's."""
        try:
            with suppressed():
                if hasattr(connection, "add_log_listener"):
                    return await self._prepare_asyncpg(connection)
                if hasattr(connection, "add_notice_handler"):
                    return await self._prepare_psycopg_async(connection)
        except Exception as error:  # noqa: BLE001 - the driver's: the application goes on without plans
            self._tell_failure(error)
        return None

    def read(self, message: str, recent: RecentStatements) -> None:
        """Tell the plan in a notice, if it holds one; never raises outside of tests."""
        self._guard.own(self._read, message, recent, default=None)

    # --- drivers

    def _prepare_psycopg(self, connection: Any) -> Watch | None:
        before, connection.autocommit = connection.autocommit, True
        try:
            query = self._decide(
                _facts(_psycopg_row(connection.execute(FACTS_QUERY)), connection.info.backend_pid)
            )
            if query is None:
                return None
            connection.execute(query)
        finally:
            connection.autocommit = before
        return self._watch_psycopg(connection)

    async def _prepare_psycopg_async(self, connection: Any) -> Watch | None:
        before = connection.autocommit
        await connection.set_autocommit(True)
        try:
            answer = _psycopg_row(await connection.execute(FACTS_QUERY))
            query = self._decide(_facts(answer, connection.info.backend_pid))
            if query is None:
                return None
            await connection.execute(query)
        finally:
            await connection.set_autocommit(before)
        return self._watch_psycopg(connection)

    def _watch_psycopg(self, connection: Any) -> Watch:
        watch = Watch()

        def noticed(diagnostic: Any) -> None:
            self.read(diagnostic.message_primary or "", watch.recent)

        connection.add_notice_handler(noticed)
        self._connections += 1
        return watch

    def _prepare_psycopg2(self, connection: Any) -> Watch | None:
        from psycopg2.extensions import cursor as plain_cursor  # optional; whoever connects has imported it

        before, connection.autocommit = connection.autocommit, True
        try:
            with connection.cursor(cursor_factory=plain_cursor) as cursor:
                cursor.execute(FACTS_QUERY)
                query = self._decide(_facts(cursor.fetchone(), connection.info.backend_pid))
                if query is None:
                    return None
                cursor.execute(query)
        finally:
            connection.autocommit = before
        watch = Watch()

        def noticed(text: str) -> None:
            self.read(text.partition("  ")[2], watch.recent)  # behind `NOTICE:`, in the server's language

        connection.notices = _Notices(connection.notices, noticed)
        self._connections += 1
        return watch

    async def _prepare_asyncpg(self, connection: Any) -> Watch | None:
        answer = await connection.fetchrow(FACTS_QUERY)
        query = self._decide(_facts(tuple(answer), connection.get_server_pid()))
        if query is None:
            return None
        await connection.execute(query)
        # A pool resets each connection that comes back, by a text which the connection keeps.
        if hasattr(connection, "_reset_query"):
            connection._reset_query = f"{connection.get_reset_query()}\n{query};"  # noqa: SLF001 - no public way
        watch = Watch()

        def logged(_connection: Any, message: Any) -> None:
            self.read(message.message or "", watch.recent)

        watch.listener = logged
        watch.acquired(connection)
        self._connections += 1
        return watch

    def _decide(self, facts: ServerFacts) -> str | None:
        reason = refusal(facts)
        if reason is None:
            return settings_query(
                facts.version, min_duration_s=self._min_duration_s, sample_rate=self._sample_rate
            )
        self._tell(reason)
        return None

    # --- notices

    def _read(self, message: str, recent: RecentStatements) -> None:
        if _NOTICE.match(message) is None:
            return
        if not self._may_read():
            self._dropped += 1
            return
        notice = read_notice(message)
        if notice is None:
            self._dropped += 1
            return
        self._plans += 1
        span = recent.find(notice.statement.fingerprint)
        self._unmatched += span is None
        self._emit(notice, span)

    def _may_read(self) -> bool:
        second = int(self._monotonic_s())
        if second != self._second:
            self._second, self._read_in_second = second, 0
        self._read_in_second += 1
        return self._read_in_second <= _PER_SECOND

    def _emit(self, notice: PlanNotice, span: SpanContext | None) -> None:
        context = Context()
        if span is not None:
            context = set_span_in_context(NonRecordingSpan(span), context)
        now_ns = time.time_ns()
        self._logger.emit(
            timestamp=now_ns,
            observed_timestamp=now_ns,
            context=context,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=notice.document,
            attributes=_attributes(notice),
            event_name=EVENT_QUERY_PLAN,
        )

    # --- telling

    def _tell_failure(self, error: Exception) -> None:
        code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)  # psycopg2's name
        if code == _INSUFFICIENT_PRIVILEGE:
            self._tell("the account may not set auto_explain: GRANT SET ON PARAMETER auto_explain.… TO it")
        else:
            self._tell(f"the connection cannot be prepared: {type(error).__name__} {code or ''}".rstrip())

    def _tell(self, reason: str) -> None:
        if not self._is_told:
            self._is_told = True
            diagnostics.warning("no plans of statements: %s", reason)


def install(provider: LoggerProvider, min_duration_s: float) -> Callable[[], None]:
    """Watch connections of members from now on; returns what stops that.

    Args:
        provider: whose logger the plans are written to.
        min_duration_s: statements that run shorter have no plan.
    """
    logger = provider.get_logger(_SCOPE, __version__)
    return watch_connections(AutoExplain(logger, min_duration_s=min_duration_s))


class Watch:
    """One connection that is watched: a `ConnectionWatch`."""

    __slots__ = ("listener", "recent")

    def __init__(self) -> None:
        self.recent = RecentStatements()
        self.listener: Callable[..., None] | None = None
        """Asyncpg's, which may not stay on a connection in its pool."""

    def __repr__(self) -> str:
        return f"<Watch {self.recent!r}>"

    def started(self, fingerprint: str, span: SpanContext) -> None:
        """A statement has begun."""
        self.recent.note(fingerprint, span)

    def acquired(self, connection: Any) -> None:
        """It comes out of its pool."""
        if self.listener is not None:
            connection.add_log_listener(self.listener)

    def released(self, connection: Any) -> None:
        """It is about to go back to its pool."""
        if self.listener is not None:
            connection.remove_log_listener(self.listener)


class _Notices(list[str]):
    """A psycopg2 connection's list of notices, which has no other way to say that one has come."""

    def __init__(self, before: Iterable[str], noticed: Callable[[str], None]) -> None:
        super().__init__(before)
        self._noticed = noticed

    def append(self, text: str) -> None:
        """Called by psycopg2, which swallows what is raised here."""
        super().append(text)
        self._noticed(text)


def _psycopg_row(cursor: Any) -> tuple[Any, ...]:
    """The three values as libpq has them: an application's row factory makes anything of a row."""
    return tuple(cursor.pgresult.get_value(0, column) for column in range(3))


def _facts(row: Any, known_pid: int) -> ServerFacts:
    backend_pid, version, analyze = row
    return ServerFacts(int(backend_pid), known_pid, int(version), analyze is not None)


def _attributes(notice: PlanNotice) -> Mapping[str, AttributeValue]:
    given: dict[str, AttributeValue] = {
        DB_SYSTEM_NAME: "postgresql",
        DB_QUERY_TEXT: notice.statement.text,
        TICKSPAN_DB_QUERY_FINGERPRINT: notice.statement.fingerprint,
        TICKSPAN_DB_PLAN_HASH: notice.plan.hash,
        TICKSPAN_DB_PLAN_SOURCE: notice.plan.source.value,
        TICKSPAN_DB_PLAN_DURATION: notice.duration_s,
    }
    if notice.statement.summary:
        given[DB_QUERY_SUMMARY] = notice.statement.summary
    if notice.plan.cost is not None:
        given[TICKSPAN_DB_PLAN_COST] = notice.plan.cost
    return given
