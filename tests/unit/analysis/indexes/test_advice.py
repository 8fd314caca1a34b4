"""Advice by text alone, and by a planner that is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from tickspan.analysis.findings import Confidence
from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.advice import advise
from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.indexes.library import Task
from tickspan.analysis.indexes.select import MAX_EXPLAINS, Limits, select, weights
from tickspan.analysis.indexes.whatif import Estimate, NoPlan
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Column, Index, Schema, Table

_MISSION = "SELECT * FROM trades WHERE symbol='AAPL' ORDER BY timestamp DESC"


def _query(sql: str, calls: int = 1, mean_s: float = 0.0, name: str = "") -> WorkloadQuery:
    return WorkloadQuery(sql, canonicalise(sql, Dialect.POSTGRESQL).fingerprint, calls, mean_s, name)


def _table(*indexes: Index, rows: int | None = 100_000, name: str = "public.trades") -> Table:
    columns = (
        Column("id", "bigint", is_nullable=False, distinct=100_000, width_bytes=8),
        Column("symbol", "text", distinct=500, width_bytes=6),
        Column("side", "text", distinct=2, width_bytes=4),
        Column("price", "numeric", distinct=9_000, width_bytes=8),
        Column("timestamp", "timestamp with time zone", distinct=90_000, width_bytes=8),
        Column("note", "text", distinct=90_000, width_bytes=80),
    )
    return Table(name, columns, indexes, rows=rows, size_bytes=20_000_000)


_SCHEMA = Schema((_table(),), "public")


# --- by text


@pytest.mark.parametrize(
    ("dialect", "ddl", "rollback"),
    [
        (
            Dialect.POSTGRESQL,
            """SET lock_timeout = '5s';
CREATE INDEX CONCURRENTLY ix_trades_symbol_timestamp_desc ON trades (symbol, timestamp DESC);""",
            ("SET lock_timeout = '5s'", "DROP INDEX CONCURRENTLY IF EXISTS ix_trades_symbol_timestamp_desc"),
        ),
        (
            Dialect.MYSQL,
            (
                "SET SESSION lock_wait_timeout = 5;\n"
                "CREATE INDEX ix_trades_symbol_timestamp_desc ON trades (symbol, timestamp DESC)"
                " ALGORITHM=INPLACE LOCK=NONE;"
            ),
            (
                "SET SESSION lock_wait_timeout = 5",
                "ALTER TABLE trades DROP INDEX ix_trades_symbol_timestamp_desc, ALGORITHM=INPLACE, LOCK=NONE",
            ),
        ),
        (
            Dialect.SQLITE,
            """PRAGMA busy_timeout = 5000;
CREATE INDEX ix_trades_symbol_timestamp_desc ON trades (symbol, timestamp DESC);""",
            ("PRAGMA busy_timeout = 5000", "DROP INDEX IF EXISTS ix_trades_symbol_timestamp_desc"),
        ),
    ],
)
def test_a_lookup_in_order_is_advised_its_columns_and_the_order(
    dialect: Dialect, ddl: str, rollback: tuple[str, ...]
):
    found = advise([_query(_MISSION)], Schema(), dialect)
    (advice,) = found.advice
    assert (str(advice), advice.rollback_ddl, advice.confidence) == (ddl, rollback, Confidence.SYNTACTIC)
    assert found.unknown == ("no schema: existing indexes and row counts unknown",)


def test_no_value_of_a_statement_is_in_what_is_told():
    found = advise([_query(_MISSION), _query("SELECT 'hunter2' FROM")], _SCHEMA, Dialect.POSTGRESQL)
    told = repr(replace(found, advice=())) + repr(found.advice)
    assert "AAPL" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        (_table(rows=400), _MISSION),
        (_table(Index("known", "public.trades", ("symbol", "timestamp DESC"))), _MISSION),
        (_table(Index("known", "public.trades", ("symbol", "timestamp"))), _MISSION),
        (_table(Index("known", "public.trades", ("symbol", "timestamp", "price"))), _MISSION),
        (
            _table(Index("key", "public.trades", ("id",), is_unique=True)),
            "SELECT * FROM trades WHERE id = $1",
        ),
        (_table(), "SELECT count(*) FROM trades"),
        (_table(), "SELECT * FROM unknown_table WHERE missing = $1"),
    ],
)
def test_nothing_is_advised_where_nothing_would_help(table: Table, sql: str):
    schema = Schema((table,), "public")
    found = [advice.index for advice in advise([_query(sql)], schema, Dialect.POSTGRESQL).advice]
    assert [index for index in found if index.table == "public.trades"] == []


def test_an_invalid_index_and_one_that_turns_only_one_key_serve_nobody():
    turned = Index("turned", "public.trades", ("side", "price DESC", "timestamp"))
    invalid = Index("failed", "public.trades", ("side", "price", "timestamp"), is_valid=False)
    schema = Schema((_table(turned, invalid),), "public")
    sql = "SELECT * FROM trades WHERE side = $1 ORDER BY price, timestamp"
    (advice,) = advise([_query(sql)], schema, Dialect.POSTGRESQL).advice
    assert advice.index.keys == ("side", "price", "timestamp")


def test_of_two_indexes_one_is_enough_when_the_other_begins_it():
    queries = [_query(_MISSION), _query("SELECT price FROM trades WHERE symbol = $1")]
    found = advise(queries, _SCHEMA, Dialect.POSTGRESQL)
    assert [advice.index.keys for advice in found.advice] == [("symbol", "timestamp DESC")]


def test_tables_with_columns_of_one_name_each_get_their_index():
    schema = Schema((_table(), _table(name="public.orders")), "public")
    queries = [
        _query(f"SELECT price FROM {name} WHERE symbol = $1", 9, 0.01) for name in ("trades", "orders")
    ]
    planner = _Planner({query.fingerprint: {"symbol": 0.002} for query in queries})
    for whatif in (None, planner):
        found = advise(queries, schema, Dialect.POSTGRESQL, whatif=whatif)
        assert {advice.index.table for advice in found.advice} == {"public.trades", "public.orders"}


def test_what_is_not_understood_is_told_and_the_rest_goes_on():
    found = advise(
        [_query("SELECT FROM WHERE", name="bad.sql:3"), _query(_MISSION)], _SCHEMA, Dialect.POSTGRESQL
    )
    assert (len(found.advice), found.read, found.not_understood) == (1, 1, 1)
    assert found.unknown == ("bad.sql:3: syntax not understood",)


def test_a_partitioned_table_is_told_how_its_partitions_get_the_index():
    parts = ("public.trades_1", "public.trades_2")
    schema = Schema((replace(_table(), is_partitioned=True, partitions=parts),), "public")
    (advice,) = advise([_query(_MISSION)], schema, Dialect.POSTGRESQL).advice
    name = "symbol_timestamp_desc"
    assert advice.ddl == (
        "SET lock_timeout = '5s'",
        f"CREATE INDEX ix_trades_{name} ON ONLY public.trades (symbol, timestamp DESC)",
        f"CREATE INDEX CONCURRENTLY ix_trades_1_{name} ON public.trades_1 (symbol, timestamp DESC)",
        f"ALTER INDEX public.ix_trades_{name} ATTACH PARTITION public.ix_trades_1_{name}",
        f"CREATE INDEX CONCURRENTLY ix_trades_2_{name} ON public.trades_2 (symbol, timestamp DESC)",
        f"ALTER INDEX public.ix_trades_{name} ATTACH PARTITION public.ix_trades_2_{name}",
    )
    assert advice.reason.endswith("becomes valid when the index of every partition is attached.")


def test_a_search_inside_of_texts_is_told_of_trigrams():
    query = _query("SELECT id FROM trades WHERE note LIKE '%urgent'")
    found = advise([query], _SCHEMA, Dialect.POSTGRESQL)
    (advice,) = found.untried
    assert (found.advice, advice.fingerprints, advice.write_cost_s) == ((), (query.fingerprint,), None)
    assert advice.ddl[1:] == (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        f"CREATE INDEX CONCURRENTLY {advice.name} ON public.trades USING gin (note gin_trgm_ops)",
    )


@pytest.mark.parametrize(
    "condition",
    [
        "note LIKE '%x'",
        "note LIKE $1",
        "note LIKE 'urgent%'",
        "note LIKE '%urgent%' AND symbol = 'AAPL'",
        "note LIKE '%urgent%' AND timestamp > $1",
        "timestamp LIKE '%urgent%'",
    ],
)
def test_trigrams_are_not_for_short_patterns_nor_for_few_rows_nor_for_other_types(condition: str):
    query = _query(f"SELECT id FROM trades WHERE {condition}")
    assert advise([query], _SCHEMA, Dialect.POSTGRESQL).untried == ()


def test_a_storage_below_zero_is_refused():
    with pytest.raises(ValueError, match="0 or more, got -1"):
        advise([], Schema(), Dialect.POSTGRESQL, storage_bytes=-1)


# --- by a planner


@dataclass(slots=True)
class _Planner:
    """A planner of one table: a statement's cost is the rows that its best index leaves.

    `serves` tells, per fingerprint, the columns that a statement compares, most selective first, and how
    many rows each leaves of the table.
    """

    serves: Mapping[str, Mapping[str, float]]
    sizes: Mapping[int, int] = field(default_factory=dict[int, int])
    asked: list[tuple[str, frozenset[IndexSpec]]] = field(
        default_factory=list[tuple[str, frozenset[IndexSpec]]]
    )

    def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
        self.asked.append((query.fingerprint, frozenset(indexes)))
        if query.fingerprint not in self.serves:
            raise NoPlan("refused")
        best, used = 100_000.0, frozenset[IndexSpec]()
        for spec in sorted(indexes, key=lambda spec: (spec.width, len(spec.includes), repr(spec))):
            cost = 100_000.0
            for key in spec.keys:
                share = self.serves[query.fingerprint].get(column_of(key))
                if share is None:
                    break
                cost *= share
            if spec.keys and cost < best:
                best, used = cost, frozenset({spec})
        return Estimate(best, used)

    def size(self, index: IndexSpec) -> int | None:
        return 1_000_000 * (index.width + len(index.includes))

    def share(self, index: IndexSpec) -> float:
        return 0.1 if index.predicate else 1.0


_BY_SYMBOL = _query("SELECT id FROM trades WHERE symbol = $1 AND timestamp > $2", 100, 0.01, "by symbol")
_BY_PRICE = _query("SELECT id FROM trades WHERE price = $1", 100, 0.01, "by price")
_INSERT = _query("INSERT INTO trades (id) VALUES ($1)", 100, 0.01)
_SHARES = {
    _BY_SYMBOL.fingerprint: {"symbol": 0.002, "timestamp": 0.25},
    _BY_PRICE.fingerprint: {"price": 0.01},
}


def test_a_planner_is_asked_and_what_it_says_is_told():
    found = advise([_BY_SYMBOL, _BY_PRICE], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(_SHARES))
    assert [(advice.index.keys, advice.confidence) for advice in found.advice] == [
        (("symbol", "timestamp"), Confidence.WHAT_IF),
        (("price",), Confidence.WHAT_IF),
    ]
    assert [(change.query.name, change.before, change.after, change.indexes) for change in found.queries] == [
        ("by symbol", 100_000, 50, ("ix_trades_symbol_timestamp",)),
        ("by price", 100_000, 1_000, ("ix_trades_price",)),
    ]
    assert found.advice[0].costs == {_BY_SYMBOL.fingerprint: (100_000, 50)}
    assert found.relative_cost == pytest.approx((0.0005 * 0.01) ** 0.5)
    assert (found.size_bytes, found.advice[0].write_cost_s) == (3_000_000, 2.8e-6)


def test_storage_decides_which_of_two_is_worth_more_for_a_byte():
    found = advise(
        [_BY_SYMBOL, _BY_PRICE],
        _SCHEMA,
        Dialect.POSTGRESQL,
        whatif=_Planner(_SHARES),
        storage_bytes=2_500_000,
    )
    assert {advice.index.keys for advice in found.advice} == {("symbol",), ("price",)}
    assert found.size_bytes == 2_000_000


def test_an_index_that_costs_its_writers_more_than_its_readers_gain_is_not_advised():
    writes = replace(_INSERT, calls=10_000_000, mean_s=1e-5)
    found = advise([_BY_PRICE, writes], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(_SHARES))
    assert found.advice == ()


def test_a_gain_below_thirty_percent_is_none():
    shares = {_BY_PRICE.fingerprint: {"price": 0.75}}
    assert advise([_BY_PRICE], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(shares)).advice == ()


def test_several_statements_may_gain_it_together():
    other = _query("SELECT id FROM trades WHERE price = $1 AND side = $2", 100, 0.01)
    shares = {_BY_PRICE.fingerprint: {"price": 0.75}, other.fingerprint: {"price": 0.75}}
    found = advise([_BY_PRICE, other], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(shares))
    assert [advice.index.keys for advice in found.advice] == [("price",)]


def test_a_statement_that_cannot_be_planned_is_told_and_the_rest_goes_on():
    shares = {_BY_PRICE.fingerprint: {"price": 0.01}}
    found = advise([_BY_SYMBOL, _BY_PRICE], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(shares))
    assert [advice.index.keys for advice in found.advice] == [("price",)]
    assert found.unknown == ("by symbol: refused",)


def test_an_index_of_a_statement_with_half_the_time_outweighs_a_common_but_cheap_one():
    queries = [replace(_BY_SYMBOL, calls=1, mean_s=1.0), replace(_BY_PRICE, calls=900, mean_s=0.0001)]
    limits = Limits(indexes=1)
    tasks = [
        Task(query, weight, (IndexSpec("public.trades", (key,)),))
        for query, weight, key in zip(queries, weights(queries), ("symbol", "price"), strict=True)
    ]
    assert [item.index.keys for item in select(tasks, _Planner(_SHARES), limits).indexes] == [("symbol",)]


def test_no_statement_has_more_than_a_fifth_before_all_are_made_one():
    assert weights([_query("a", 1, 97.0), *(_query(name, 1, 1.0) for name in "bcd")]) == pytest.approx(
        [0.2 / 0.23, 0.01 / 0.23, 0.01 / 0.23, 0.01 / 0.23]
    )
    assert weights([_query("a"), _query("b", 3)]) == pytest.approx([0.5, 0.5])


def test_five_hundred_explains_are_enough_for_any_workload():
    columns = ("symbol", "side", "price", "timestamp", "id")
    queries = [
        _query(f"SELECT note FROM trades WHERE {one} = $1 AND {other} > $2")
        for one in columns
        for other in columns
        if one != other
    ]
    queries = [replace(query, fingerprint=f"{number}") for number, query in enumerate(queries * 9)]
    planner = _Planner({query.fingerprint: dict.fromkeys(columns, 0.1) for query in queries})
    found = advise(queries, _SCHEMA, Dialect.POSTGRESQL, whatif=planner)
    assert len(planner.asked) == found.explains <= MAX_EXPLAINS
    assert len(planner.asked) == len(set(planner.asked))
    assert sum("heaviest" in line for line in found.unknown) == len(queries) - MAX_EXPLAINS // 4
    assert found.advice


def test_the_same_workload_gets_the_same_advice():
    queries = [_BY_SYMBOL, _BY_PRICE, _INSERT]
    both = [advise(queries, _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner(_SHARES)) for _ in range(2)]
    assert both[0] == both[1]


def test_progress_is_told_without_values():
    lines: list[str] = []
    advise([_query(_MISSION)], _SCHEMA, Dialect.POSTGRESQL, whatif=_Planner({}), progress=lines.append)
    assert lines[0] == "1 statement to look at"
    assert not any("AAPL" in line for line in lines)
