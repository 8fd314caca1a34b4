"""Partial, expression, covering, block-range and trigram indexes are advised where they are right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from scripts.servers import DatabaseServer
from tickspan.analysis.indexes import IndexAdvice, IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.advice import advise
from tickspan.analysis.plans.probe import Unreachable
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.processors.queries.whatif.hypopg import HypopgWhatIf

pytestmark = pytest.mark.backends

_NAME = "index_forms"
_ORDERS = "public.orders"
_TICKS = "public.ticks"
_SCHEMA = (
    "CREATE EXTENSION hypopg",
    """CREATE TABLE orders (id bigint PRIMARY KEY, symbol text, status text, price numeric,
       placed_at timestamp, closed_at timestamp, error text, is_live boolean, client varchar(30),
       alias text COLLATE "und-x-icu", note text)""",
    """INSERT INTO orders SELECT n, 'S' || (n * 7919) % 300,
       CASE WHEN n % 1000 = 0 THEN 'open' WHEN n % 10 = 0 THEN 'cancelled' ELSE 'filled' END, n,
       timestamp '2026-01-01' + n * interval '1 second',
       CASE WHEN n % 1000 <> 0 THEN timestamp '2026-01-02' + n * interval '1 second' END,
       CASE WHEN n % 2000 = 0 THEN 'rejected' || n END, n % 1000 = 0, 'Client' || n, 'Alias' || n,
       md5(n::text) || md5((n + 1)::text) FROM generate_series(1, 100000) n""",
    "CREATE TABLE ticks (ts timestamp, symbol text, bid float8, ask float8)",
    """INSERT INTO ticks SELECT timestamp '2026-01-01' + n * interval '1 second', 'S' || n % 100, 1, 2
       FROM generate_series(1, 1100000) n""",
    "CREATE TABLE shuffled (ts timestamp, symbol text, bid float8, ask float8)",
    "INSERT INTO shuffled SELECT * FROM ticks ORDER BY md5(ts::text)",
    "CREATE TABLE few (id bigint, note text)",
    "INSERT INTO few SELECT n, md5(n::text) FROM generate_series(1, 400) n",
    "VACUUM ANALYZE",
)


@pytest.fixture(scope="module")
def database(hypopg_server: DatabaseServer) -> Iterator[str]:
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_NAME}")
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in _SCHEMA:
            connection.execute(statement.encode())
    yield address
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


def _query(sql: str, calls: int = 1, mean_s: float = 0.0) -> WorkloadQuery:
    return WorkloadQuery(sql, canonicalise(sql, Dialect.POSTGRESQL).fingerprint, calls, mean_s)


def _advised(
    database: str, queries: Sequence[WorkloadQuery], storage_bytes: int | None = None
) -> tuple[IndexAdvice, ...]:
    with PostgresqlProbe(database) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            found = advise(queries, schema, Dialect.POSTGRESQL, whatif=whatif, storage_bytes=storage_bytes)
    assert found.unknown == ()
    return (*found.advice, *found.untried)


def _plan(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> str:
    return "\n".join(str(row[0]) for row in connection.execute(f"EXPLAIN {sql}".encode()))


def _advised_then_built(
    database: str,
    connection: psycopg.Connection[tuple[object, ...]],
    queries: Sequence[WorkloadQuery],
    storage_bytes: int | None = None,
) -> tuple[IndexSpec, str, str, bool]:
    """The only index that is advised, its name, the first statement's plan with it, and whether it went."""
    (advice,) = _advised(database, queries, storage_bytes)
    try:
        for statement in advice.ddl:
            connection.execute(statement.encode())
        plan = _plan(connection, queries[0].sql)
        assert _advised(database, queries, storage_bytes) == ()
    finally:
        for statement in advice.rollback_ddl:
            connection.execute(statement.encode())
    is_gone = connection.execute("SELECT to_regclass(%s) IS NULL", (advice.name,)).fetchone() == (True,)
    return advice.index, advice.name, plan, is_gone


_SCAN = "Index Scan using|Bitmap Index Scan on"


@pytest.mark.parametrize(
    ("sql", "index", "step"),
    [
        (
            "SELECT * FROM orders WHERE status = 'open' ORDER BY placed_at LIMIT 50",
            IndexSpec(_ORDERS, ("placed_at",), predicate="status = 'open'"),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE status = 'open' AND symbol = 'S0'",
            IndexSpec(_ORDERS, ("symbol",), predicate="status = 'open'"),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE closed_at IS NULL AND symbol = 'S0'",
            IndexSpec(_ORDERS, ("symbol",), predicate="closed_at IS NULL"),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE error IS NOT NULL ORDER BY placed_at DESC LIMIT 10",
            IndexSpec(_ORDERS, ("placed_at DESC",), predicate="error IS NOT NULL"),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE is_live AND symbol = 'S0'",
            IndexSpec(_ORDERS, ("symbol",), predicate="is_live"),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE lower(client) = 'client77'",
            IndexSpec(_ORDERS, ("LOWER(client)",)),
            _SCAN,
        ),
        (
            "SELECT * FROM orders WHERE alias LIKE 'Alias777%'",
            IndexSpec(_ORDERS, ("alias text_pattern_ops",)),
            _SCAN,
        ),
        (
            "SELECT sum(price) FROM orders WHERE symbol = 'S0'",
            IndexSpec(_ORDERS, ("symbol",), includes=("price",)),
            "Index Only Scan using",
        ),
        (
            "SELECT * FROM orders WHERE note LIKE '%c0ffee%'",
            IndexSpec(_ORDERS, ("note gin_trgm_ops",), method="gin"),
            "Bitmap Index Scan on",
        ),
    ],
    ids=lambda value: value.predicate or value.keys[0] if isinstance(value, IndexSpec) else "",
)
def test_the_form_that_is_right_is_advised_is_used_when_built_and_goes_again(
    database: str,
    connection: psycopg.Connection[tuple[object, ...]],
    sql: str,
    index: IndexSpec,
    step: str,
) -> None:
    found, name, plan, is_gone = _advised_then_built(database, connection, [_query(sql)])
    assert (found, bool(re.search(f"(?:{step}) {name}", plan)), is_gone) == (index, True, True)


_WINDOW = "SELECT avg(bid) FROM ticks WHERE ts > '2026-01-10' AND ts < '2026-01-10 06:00'"
_BLOCK_RANGES = IndexSpec(_TICKS, ("ts",), method="brin")


def test_where_much_is_written_in_order_block_ranges_are_advised(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    writes = _query("INSERT INTO ticks VALUES ($1, $2, $3, $4)", 1_000_000, 1e-5)
    queries = [_query(_WINDOW, 100, 0.005), writes]
    found, name, plan, is_gone = _advised_then_built(database, connection, queries)
    assert (found, f"Bitmap Index Scan on {name}" in plan, is_gone) == (_BLOCK_RANGES, True, True)


def test_where_little_may_be_stored_block_ranges_are_advised(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    found, name, plan, is_gone = _advised_then_built(database, connection, [_query(_WINDOW)], 1_000_000)
    assert (found, f"Bitmap Index Scan on {name}" in plan, is_gone) == (_BLOCK_RANGES, True, True)


@pytest.mark.parametrize(
    ("sql", "indexes"),
    [
        (  # nine of ten rows
            "SELECT * FROM orders WHERE status = 'filled' AND symbol = 'S0'",
            [IndexSpec(_ORDERS, ("symbol", "status"))],
        ),
        (  # a value that changes from call to call
            "SELECT * FROM orders WHERE status = $1 AND symbol = $2",
            [IndexSpec(_ORDERS, ("symbol", "status"))],
        ),
        (
            "SELECT * FROM orders WHERE closed_at IS NOT NULL AND symbol = 'S0'",
            [IndexSpec(_ORDERS, ("symbol",))],
        ),
        (
            "SELECT * FROM orders WHERE NOT is_live AND symbol = 'S0'",
            [IndexSpec(_ORDERS, ("symbol",))],
        ),
        (  # the function is not on the column
            "SELECT * FROM orders WHERE client = lower('CLIENT77')",
            [IndexSpec(_ORDERS, ("client",))],
        ),
        (  # no index may hold what changes with the clock or the time zone
            "SELECT * FROM orders WHERE to_char(placed_at, 'YYYY') = '2026'",
            [],
        ),
        (  # a pattern without a wildcard is a value
            "SELECT * FROM orders WHERE alias = 'Alias777'",
            [IndexSpec(_ORDERS, ("alias",))],
        ),
        (  # whole rows
            "SELECT * FROM orders WHERE symbol = 'S0'",
            [IndexSpec(_ORDERS, ("symbol",))],
        ),
        (  # too wide to be stored twice
            "SELECT note FROM orders WHERE symbol = 'S0'",
            [IndexSpec(_ORDERS, ("symbol",))],
        ),
        (
            "SELECT avg(bid) FROM shuffled WHERE ts > '2026-01-10' AND ts < '2026-01-10 06:00'",
            [IndexSpec("public.shuffled", ("ts",), includes=("bid",))],
        ),
        (
            "SELECT * FROM ticks ORDER BY ts DESC LIMIT 10",
            [IndexSpec(_TICKS, ("ts DESC",))],
        ),
        ("SELECT * FROM orders WHERE note LIKE '%c0%'", []),
        ("SELECT * FROM few WHERE note LIKE '%c0ffee%'", []),
        (  # what one of 300 symbols leaves is soon read
            "SELECT * FROM orders WHERE symbol = 'S0' AND note LIKE '%c0ffee%'",
            [IndexSpec(_ORDERS, ("symbol",))],
        ),
    ],
)
def test_where_it_is_not_quite_right_it_is_not_advised(
    database: str, sql: str, indexes: list[IndexSpec]
) -> None:
    assert [advice.index for advice in _advised(database, [_query(sql)])] == indexes


def test_one_whole_index_is_advised_where_many_values_are_asked_for(database: str) -> None:
    queries = [
        _query("SELECT * FROM orders WHERE status = 'open' AND symbol = 'S0'"),
        _query("SELECT * FROM orders WHERE symbol = 'S0' AND status = 'cancelled' AND price > 3"),
        _query("SELECT * FROM orders WHERE status = $1 AND symbol = $2 LIMIT 10"),
    ]
    assert [advice.index for advice in _advised(database, queries)] == [
        IndexSpec(_ORDERS, ("symbol", "status"))
    ]


def test_a_server_that_ends_the_connection_is_told_in_one_line(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    with PostgresqlProbe(database) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            pid = probe.session().info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            query, index = _query("SELECT 1 FROM few WHERE id = 1"), IndexSpec("public.few", ("id",))
            with pytest.raises(Unreachable, match=r"(connection is lost|ended the connection \(57P01\))$"):
                whatif.used(query, [index])


def test_a_partial_index_has_the_size_of_the_rows_that_it_holds(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    (advice,) = _advised(database, [_query("SELECT * FROM orders WHERE status = 'open' AND symbol = 'S0'")])
    for statement in advice.ddl:
        connection.execute(statement.encode())
    size = connection.execute("SELECT pg_relation_size(%s::regclass)", (advice.name,)).fetchone()
    for statement in advice.rollback_ddl:
        connection.execute(statement.encode())
    assert size is not None
    assert advice.size_bytes == pytest.approx(size[0], abs=8192)
