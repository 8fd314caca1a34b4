"""Records `cases/` and `shapes/`: `python tests/unit/analysis/plans/record.py [shapes|RULE …]`.

A scenario is a statement, what is done before it, and what a rule has to say of its plan. The servers'
answers are kept as they are, literals included; expectations are written by hand, here.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pymysql

ROOT: Final = Path(__file__).parents[4]
sys.path.insert(0, str(ROOT))

from scripts import backends, servers  # noqa: E402 - found by the line before

CASES: Final = Path(__file__).with_name("cases")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One plan and what is expected of one rule.

    Attributes:
        rule: that is asked.
        system: postgresql, mariadb or sqlite.
        found: severity and table or step of each finding; none: the plan is fine.
        note: why.
        sql: the statement.
        how: `measured`, `estimated`, or `generic` with NULL for each `$n`.
        before: statements of the same session.
        tables: what the schema knows: rows, modified, columns, indexes, partition_key, partitions.
        custom: the same statement with a value, for the plan beside a generic one.
        history: hash, samples, p95 in seconds; `now` is the plan's own hash.
    """

    rule: str
    system: str
    found: tuple[str, ...]
    note: str
    sql: str
    how: str = "measured"
    before: tuple[str, ...] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    custom: str = ""
    history: tuple[tuple[str, int, float], ...] = ()


_PG_SCHEMA: Final = """
CREATE TABLE symbols (id int PRIMARY KEY, code text UNIQUE, venue text);
INSERT INTO symbols SELECT i, 'S' || i, 'v' || i % 7 FROM generate_series(1, 200) i;
CREATE TABLE orders (id bigint PRIMARY KEY, symbol_id int, code text, price numeric, status text,
                     placed_at timestamptz, note text);
INSERT INTO orders SELECT i, i % 200, 'c' || i, i % 1000, CASE WHEN i % 2 = 0 THEN 'open' ELSE 'filled' END,
                          '2026-01-01Z'::timestamptz + i * interval '1 minute', 'n' || i % 1000
                   FROM generate_series(1, 50000) i;
CREATE INDEX orders_placed ON orders (placed_at);
CREATE INDEX orders_symbol ON orders (symbol_id, placed_at);
CREATE TABLE fills (id bigint PRIMARY KEY, order_id bigint, price numeric, quantity numeric);
INSERT INTO fills SELECT i, i % 50000, i % 900, i % 10 FROM generate_series(1, 60000) i;
CREATE TABLE legs (a int, b int, c int, d int);
INSERT INTO legs SELECT i % 100, i % 100, i % 100, i FROM generate_series(1, 200000) i;
CREATE TABLE ticks (day date, symbol_id int, price numeric) PARTITION BY RANGE (day);
DO $$ BEGIN FOR i IN 0..23 LOOP
  EXECUTE format('CREATE TABLE ticks_%s PARTITION OF ticks FOR VALUES FROM (%L) TO (%L)',
                 lpad(i::text, 2, '0'), '2026-01-01'::date + i, '2026-01-02'::date + i); END LOOP; END $$;
INSERT INTO ticks SELECT '2026-01-01'::date + i % 24, i % 50, i FROM generate_series(1, 48000) i;
CREATE TABLE journal (id bigint PRIMARY KEY, note text);
CREATE TABLE slow_journal (id bigint PRIMARY KEY, note text);
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$;
CREATE TRIGGER pausing BEFORE INSERT ON slow_journal FOR EACH ROW EXECUTE FUNCTION pause();
CREATE TABLE marked (id bigint PRIMARY KEY, note text);
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER marking BEFORE INSERT ON marked FOR EACH ROW EXECUTE FUNCTION mark();
CREATE TABLE accounts (id bigint PRIMARY KEY);
INSERT INTO accounts SELECT generate_series(1, 500);
CREATE TABLE entries (id bigint PRIMARY KEY, account_id bigint REFERENCES accounts (id));
INSERT INTO entries SELECT i, 1 + i % 100 FROM generate_series(1, 60000) i;
"""
_PG_SESSION: Final = (
    "SET max_parallel_workers_per_gather = 0",
    "SET jit = off",
    "SET timezone = 'UTC'",
    "SET work_mem = '16MB'",
)
_MARIA_SCHEMA: Final = """
CREATE TABLE symbols (id INT PRIMARY KEY, code VARCHAR(10) UNIQUE, venue VARCHAR(9));
INSERT INTO symbols SELECT seq, CONCAT('S', seq), CONCAT('v', seq % 7) FROM seq_1_to_200;
CREATE TABLE orders (id BIGINT PRIMARY KEY, symbol_id INT, code VARCHAR(20), price DECIMAL(18,8),
                     placed_at DATETIME, note VARCHAR(9), KEY orders_placed (placed_at),
                     KEY orders_symbol (symbol_id));
INSERT INTO orders SELECT seq, seq % 200, CONCAT('c', seq), seq % 1000,
                          '2026-01-01' + INTERVAL seq MINUTE, CONCAT('n', seq % 1000) FROM seq_1_to_30000;
CREATE TABLE fills (id BIGINT PRIMARY KEY, order_id BIGINT, price DECIMAL(18,8));
INSERT INTO fills SELECT seq, seq % 30000, seq % 900 FROM seq_1_to_40000;
CREATE TABLE skewed (id BIGINT PRIMARY KEY, symbol_id INT, KEY skewed_symbol (symbol_id));
INSERT INTO skewed SELECT seq, IF(seq <= 20000, 7, seq) FROM seq_1_to_22000;
CREATE TABLE ticks (day DATE, price DECIMAL(18,8)) PARTITION BY RANGE (TO_DAYS(day)) (
  PARTITION p0 VALUES LESS THAN (TO_DAYS('2026-01-02')),
  PARTITION p1 VALUES LESS THAN (TO_DAYS('2026-01-03')),
  PARTITION p2 VALUES LESS THAN (TO_DAYS('2026-01-04')),
  PARTITION p3 VALUES LESS THAN (TO_DAYS('2026-01-05')),
  PARTITION p4 VALUES LESS THAN (TO_DAYS('2026-01-06')));
INSERT INTO ticks SELECT '2026-01-01' + INTERVAL seq % 5 DAY, seq FROM seq_1_to_500;
ANALYZE TABLE symbols, orders, fills, skewed, ticks;
"""
_SQLITE_SCHEMA: Final = """
CREATE TABLE symbols (id INTEGER PRIMARY KEY, code TEXT UNIQUE, venue TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, symbol_id INT, code TEXT, price REAL, placed_at TEXT, note TEXT);
CREATE INDEX orders_placed ON orders (placed_at);
CREATE INDEX orders_symbol ON orders (symbol_id);
CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INT, price REAL);
"""

_ORDERS: Final = {
    "rows": 50_000,
    "columns": ["id", "symbol_id", "code", "price", "status", "placed_at", "note"],
}
_SMALL: Final = {"rows": 200, "columns": ["id", "code", "venue"]}
_FILLS: Final = {"rows": 60_000, "columns": ["id", "order_id", "price"]}
_TICKS: Final = {
    "rows": 48_000,
    "partition_key": ["day"],
    "partitions": [f"ticks_{i:02}" for i in range(24)],
    "columns": ["day", "symbol_id", "price"],
}
_MARIA_TICKS: Final = {
    "rows": 500,
    "partition_key": ["day"],
    "partitions": [f"p{i}" for i in range(5)],
    "columns": ["day", "price"],
}
_PARALLEL: Final = (
    "SET max_parallel_workers_per_gather = 2",
    "SET parallel_setup_cost = 0",
    "SET parallel_tuple_cost = 0",
    "SET min_parallel_table_scan_size = 0",
)
_STAR: Final = " ".join(f"JOIN orders o{i} ON o{i}.id = o1.symbol_id" for i in range(2, 9))
_NESTED: Final = ("SET enable_hashjoin = off", "SET enable_mergejoin = off")
_JOINS: Final = " ".join(f"JOIN orders o{i} ON o{i}.id = o{i - 1}.id" for i in range(2, 9))

S = Scenario
SCENARIOS: Final = (
    # --- seq_scan_selective
    S("seq_scan_selective", "postgresql", ("warning orders",), "one row of 50,000",
      "SELECT * FROM orders WHERE code = 'c77'"),
    S("seq_scan_selective", "postgresql", ("warning orders",), "estimated, from the schema's rows",
      "SELECT * FROM orders WHERE note = $1", how="generic", tables={"orders": _ORDERS}),
    S("seq_scan_selective", "postgresql", ("warning orders",), "a parallel scan",
      "SELECT * FROM orders WHERE code = 'c77'",
      before=_PARALLEL),
    S("seq_scan_selective", "mariadb", ("warning orders",), "r_filtered below 10",
      "SELECT * FROM orders WHERE code = 'c77'"),
    S("seq_scan_selective", "mariadb", ("warning orders",), "estimated by engine-independent statistics",
      "SELECT * FROM orders WHERE note = 'n5'", how="estimated",
      before=("ANALYZE TABLE orders PERSISTENT FOR ALL", "SET optimizer_use_condition_selectivity = 4")),
    S("seq_scan_selective", "sqlite", ("warning orders",), "a WHERE on a large table",
      "SELECT * FROM orders WHERE code = ?", tables={"orders": _ORDERS}),
    S("seq_scan_selective", "postgresql", (), "half of the rows are wanted",
      "SELECT * FROM orders WHERE status = 'open'"),
    S("seq_scan_selective", "postgresql", (), "a small table",
      "SELECT * FROM symbols WHERE venue = 'v3'", tables={"symbols": _SMALL}),
    S("seq_scan_selective", "postgresql", (), "an index is used",
      "SELECT * FROM orders WHERE id = 77"),
    S("seq_scan_selective", "mariadb", (), "all rows are wanted", "SELECT * FROM orders"),
    S("seq_scan_selective", "mariadb", (), "r_filtered is above 10",
      "SELECT * FROM orders WHERE price > 500"),
    S("seq_scan_selective", "sqlite", (), "no WHERE", "SELECT * FROM orders", tables={"orders": _ORDERS}),
    S("seq_scan_selective", "sqlite", (), "a small table",
      "SELECT * FROM symbols WHERE venue = ?", tables={"symbols": _SMALL}),
    # --- index_reads_too_much
    S("index_reads_too_much", "postgresql", ("warning orders",), "the index knows the time, not the note",
      "SELECT * FROM orders WHERE placed_at < '2026-01-03Z' AND note = 'n5'"),
    S("index_reads_too_much", "postgresql", ("warning orders",), "a bitmap of too many rows",
      "SELECT * FROM orders WHERE placed_at < '2026-01-03Z' AND note = 'n5'",
      before=("SET enable_indexscan = off", "SET enable_seqscan = off")),
    S("index_reads_too_much", "postgresql", ("warning orders",), "a walk along the order until enough pass",
      "SELECT * FROM orders WHERE note = $1 ORDER BY placed_at LIMIT 10", how="generic",
      before=("SET enable_sort = off", "SET enable_seqscan = off", "SET enable_bitmapscan = off"),
      tables={"orders": _ORDERS}),
    S("index_reads_too_much", "mariadb", ("warning orders",), "a range of which one in a thousand is kept",
      "SELECT * FROM orders FORCE INDEX (orders_placed) WHERE placed_at < '2026-01-05' AND note = 'n5'"),
    S("index_reads_too_much", "sqlite", ("warning orders",), "the index gives the order only",
      "SELECT * FROM orders WHERE note = ? ORDER BY placed_at LIMIT 10", tables={"orders": _ORDERS}),
    S("index_reads_too_much", "postgresql", (), "all that is read is kept",
      "SELECT * FROM orders WHERE placed_at < '2026-01-03Z'"),
    S("index_reads_too_much", "postgresql", (), "few rows are read",
      "SELECT * FROM orders WHERE symbol_id = 5 AND note = 'n5'"),
    S("index_reads_too_much", "postgresql", (), "the walk ends soon: half of the rows pass",
      "SELECT * FROM orders WHERE status = $1 ORDER BY placed_at LIMIT 10", how="generic",
      tables={"orders": _ORDERS}),
    S("index_reads_too_much", "mariadb", (), "a range of which all is kept",
      "SELECT * FROM orders WHERE placed_at < '2026-01-02'"),
    S("index_reads_too_much", "sqlite", (), "a search",
      "SELECT * FROM orders WHERE symbol_id = ? ORDER BY id", tables={"orders": _ORDERS}),
    # --- spill
    S("spill", "postgresql", ("warning Sort",), "a sort on disk",
      "SELECT * FROM orders ORDER BY note, id", before=("SET work_mem = '64kB'",)),
    S("spill", "postgresql", ("warning Hash",), "a hash in batches",
      "SELECT count(*) FROM fills f JOIN orders o ON o.id = f.order_id",
      before=("SET work_mem = '64kB'", "SET enable_mergejoin = off", "SET enable_nestloop = off")),
    S("spill", "postgresql", ("warning Aggregate",), "groups in batches",
      "SELECT code, count(*) FROM orders GROUP BY code",
      before=("SET work_mem = '64kB'", "SET enable_sort = off")),
    S("spill", "postgresql", ("warning Sort",), "workers sort on disk",
      "SELECT * FROM orders ORDER BY note, id",
      before=("SET work_mem = '64kB'", *_PARALLEL)),
    S("spill", "mariadb", ("warning temporary_table",), "a group for nearly each row",
      "SELECT code, count(*) FROM orders GROUP BY code ORDER BY 2", how="estimated"),
    S("spill", "sqlite", ("warning orders",), "groups of a large table",
      "SELECT note, count(*) FROM orders GROUP BY note", tables={"orders": _ORDERS}),
    S("spill", "postgresql", (), "a sort in memory",
      "SELECT * FROM orders WHERE symbol_id = 5 ORDER BY note"),
    S("spill", "postgresql", (), "a LIMIT keeps ten rows", "SELECT * FROM orders ORDER BY note LIMIT 10",
      before=("SET work_mem = '64kB'",)),
    S("spill", "mariadb", (), "a small temporary table",
      "SELECT venue, count(*) FROM symbols GROUP BY venue ORDER BY 2", how="estimated"),
    S("spill", "sqlite", (), "a LIMIT bounds the sorter",
      "SELECT * FROM orders ORDER BY note LIMIT 10", tables={"orders": _ORDERS}),
    S("spill", "sqlite", (), "the index has the order",
      "SELECT * FROM orders ORDER BY placed_at", tables={"orders": _ORDERS}),
    # --- misestimate
    S("misestimate", "postgresql", ("error legs",), "three columns that say the same",
      "SELECT * FROM legs WHERE a = 5 AND b = 5 AND c = 5"),
    S("misestimate", "postgresql", ("warning legs",), "two columns that say the same",
      "SELECT * FROM legs WHERE a = 5 AND b = 5 AND d > 100000"),
    S("misestimate", "postgresql", ("error legs",), "told at the scan, not at the join above",
      "SELECT count(*) FROM legs l JOIN symbols s ON s.id = l.a WHERE l.a = 5 AND l.b = 5 AND l.c = 5"),
    S("misestimate", "mariadb", ("error skewed",), "an average that holds for no value",
      "SELECT * FROM symbols s STRAIGHT_JOIN skewed k ON k.symbol_id = s.id WHERE s.code LIKE 'S7%'"),
    S("misestimate", "postgresql", (), "as expected", "SELECT * FROM legs WHERE a = 5"),
    S("misestimate", "postgresql", (), "few rows", "SELECT * FROM orders WHERE code LIKE 'c77_'"),
    S("misestimate", "postgresql", (), "fewer rows than expected",
      "SELECT * FROM legs WHERE a = 5 AND b = 6"),
    S("misestimate", "postgresql", (), "not run", "SELECT * FROM legs WHERE a = 5 AND b = 5 AND c = 5",
      how="estimated"),
    # --- join_without_index
    S("join_without_index", "postgresql", ("warning fills",), "60,000 rows for each of some orders",
      "SELECT * FROM orders o JOIN fills f ON f.order_id = o.id WHERE o.placed_at < '2026-01-01 00:06Z'",
      before=(*_NESTED, "SET enable_material = off")),
    S("join_without_index", "postgresql", ("error symbols",), "a comparison that no hash serves",
      "SELECT count(*) FROM orders o JOIN symbols s ON s.id > o.price WHERE o.symbol_id < 10",
      before=_NESTED),
    S("join_without_index", "postgresql", ("error fills",), "estimated",
      "SELECT * FROM orders o JOIN fills f ON f.order_id = o.id WHERE o.placed_at < $1", how="generic",
      before=(*_NESTED, "SET enable_indexscan = off", "SET enable_bitmapscan = off",
              "SET enable_material = off", "SET join_collapse_limit = 1")),
    S("join_without_index", "mariadb", ("warning fills",), "a block nested loop",
      "SELECT * FROM orders o JOIN fills f ON f.order_id = o.id + 0 WHERE o.placed_at < '2026-01-01 00:09'"),
    S("join_without_index", "sqlite", ("warning fills",), "an automatic index",
      "SELECT * FROM fills f JOIN fills g ON g.order_id = f.order_id", tables={"fills": _FILLS}),
    S("join_without_index", "postgresql", (), "the inner side has an index",
      "SELECT * FROM fills f JOIN orders o ON f.order_id = o.id WHERE f.id < 1000", before=_NESTED),
    S("join_without_index", "postgresql", (), "a hash join",
      "SELECT * FROM orders o JOIN fills f ON f.order_id = o.id"),
    S("join_without_index", "postgresql", (), "a small inner table",
      "SELECT * FROM orders o JOIN (SELECT * FROM symbols WHERE id < 5) s ON s.venue = o.note"
      " WHERE o.symbol_id < 10", before=_NESTED),
    S("join_without_index", "mariadb", (), "the inner side has an index",
      "SELECT * FROM fills f JOIN orders o ON f.order_id = o.id WHERE f.id < 1000"),
    S("join_without_index", "sqlite", (), "a search by the primary key",
      "SELECT * FROM fills f JOIN orders o ON f.order_id = o.id",
      tables={"fills": _FILLS, "orders": _ORDERS}),
    # --- stale_statistics
    S("stale_statistics", "postgresql", ("warning orders",), "half of the rows are others",
      "SELECT * FROM orders WHERE id = 1", how="estimated",
      tables={"orders": {**_ORDERS, "modified": 25_000}}),
    S("stale_statistics", "postgresql", ("warning orders",), "never analysed",
      "SELECT * FROM orders WHERE id = 1", how="estimated",
      tables={"orders": {"columns": ["id"], "modified": 25_000}}),
    S("stale_statistics", "mariadb", ("warning orders",), "half of the rows are others",
      "SELECT * FROM orders WHERE id = 1", how="estimated",
      tables={"orders": {**_ORDERS, "modified": 25_000}}),
    S("stale_statistics", "sqlite", ("warning orders",), "no sqlite_stat1",
      "SELECT * FROM orders WHERE symbol_id = ? AND placed_at > ?",
      tables={"orders": {"columns": ["id"], "indexes": ["orders_placed", "orders_symbol"]}}),
    S("stale_statistics", "postgresql", (), "a tenth has changed",
      "SELECT * FROM orders WHERE id = 1", how="estimated",
      tables={"orders": {**_ORDERS, "modified": 5_000}}),
    S("stale_statistics", "postgresql", (), "a small table that changes",
      "SELECT * FROM symbols WHERE id = 1", how="estimated",
      tables={"symbols": {**_SMALL, "modified": 150}}),
    S("stale_statistics", "sqlite", (), "known rows",
      "SELECT * FROM orders WHERE symbol_id = ?",
      tables={"orders": {**_ORDERS, "indexes": ["orders_placed"]}}),
    S("stale_statistics", "postgresql", (), "nothing is known of it",
      "SELECT * FROM orders WHERE id = 1", how="estimated"),
    # --- generic_plan_worse
    S("generic_plan_worse", "postgresql", ("warning",), "all partitions, since the day is not known",
      "SELECT * FROM ticks WHERE day = $1", how="generic",
      custom="SELECT * FROM ticks WHERE day = '2026-01-05'"),
    S("generic_plan_worse", "postgresql", ("warning",), "a third of the table, for all it knows",
      "SELECT * FROM orders WHERE placed_at > $1", how="generic",
      custom="SELECT * FROM orders WHERE placed_at > '2030-01-01Z'"),
    S("generic_plan_worse", "postgresql", ("warning",), "any days, in whatever partitions",
      "SELECT count(*) FROM ticks WHERE day BETWEEN $1 AND $2", how="generic",
      custom="SELECT count(*) FROM ticks WHERE day BETWEEN '2026-01-05' AND '2026-01-05'"),
    S("generic_plan_worse", "postgresql", (), "the same plan",
      "SELECT * FROM orders WHERE id = $1", how="generic", custom="SELECT * FROM orders WHERE id = 5"),
    S("generic_plan_worse", "postgresql", (), "half as good",
      "SELECT * FROM orders WHERE status = $1", how="generic",
      custom="SELECT * FROM orders WHERE status = 'open'"),
    S("generic_plan_worse", "postgresql", (), "no plan to compare with",
      "SELECT * FROM ticks WHERE day = $1", how="generic"),
    # --- pruning_missed
    S("pruning_missed", "postgresql", ("warning ticks",), "a function around the key",
      "SELECT * FROM ticks WHERE date_trunc('day', day) = '2026-01-05'", how="estimated",
      tables={"ticks": _TICKS}),
    S("pruning_missed", "postgresql", ("warning ticks",), "a cast of the key",
      "SELECT * FROM ticks WHERE day::text = '2026-01-05'", how="estimated", tables={"ticks": _TICKS}),
    S("pruning_missed", "mariadb", ("warning ticks",), "arithmetic on the key",
      "SELECT * FROM ticks WHERE day + INTERVAL 0 DAY = '2026-01-05'", how="estimated",
      tables={"ticks": _MARIA_TICKS}),
    S("pruning_missed", "postgresql", (), "pruned while planning",
      "SELECT * FROM ticks WHERE day = '2026-01-05'", how="estimated", tables={"ticks": _TICKS}),
    S("pruning_missed", "postgresql", (), "pruned when it runs",
      "SELECT * FROM ticks WHERE day = $1", how="generic", tables={"ticks": _TICKS}),
    S("pruning_missed", "postgresql", (), "the key is not in it",
      "SELECT * FROM ticks WHERE symbol_id = 5", how="estimated", tables={"ticks": _TICKS}),
    S("pruning_missed", "mariadb", (), "pruned while planning",
      "SELECT * FROM ticks WHERE day = '2026-01-05'", how="estimated", tables={"ticks": _MARIA_TICKS}),
    # --- planning_dominates
    S("planning_dominates", "postgresql", ("warning",), "eight joins for one row",
      f"SELECT o1.id FROM orders o1 {_JOINS} WHERE o1.code = 'none' AND o1.id = 5"),
    S("planning_dominates", "postgresql", ("warning",), "nine joins for no row",
      f"SELECT 1 FROM orders o1 {_JOINS} JOIN symbols s ON s.id = o8.symbol_id WHERE o1.id = 0"),
    S("planning_dominates", "postgresql", ("warning",), "a star of joins",
      f"SELECT 1 FROM orders o1 {_STAR} WHERE o1.id = 5"),
    S("planning_dominates", "postgresql", (), "planned in no time", "SELECT * FROM orders WHERE id = 5"),
    S("planning_dominates", "postgresql", (), "runs longer", "SELECT count(*) FROM orders"),
    S("planning_dominates", "postgresql", (), "not run",
      f"SELECT o1.id FROM orders o1 {_JOINS} WHERE o1.id = 5", how="estimated"),
    # --- trigger_time
    S("trigger_time", "postgresql", ("warning slow_journal",), "a trigger that waits",
      "INSERT INTO slow_journal VALUES (1, 'secret')", before=("BEGIN",)),
    S("trigger_time", "postgresql", ("warning accounts",), "a foreign key without an index behind it",
      "DELETE FROM accounts WHERE id > 450", before=("BEGIN",)),
    S("trigger_time", "postgresql", ("warning slow_journal",), "for each of several rows",
      "INSERT INTO slow_journal SELECT i, 'secret' FROM generate_series(10, 13) i", before=("BEGIN",)),
    S("trigger_time", "postgresql", (), "no trigger", "INSERT INTO journal VALUES (1, 'secret')",
      before=("BEGIN",)),
    S("trigger_time", "postgresql", (), "a trigger that does nothing, once",
      "INSERT INTO marked VALUES (1, 'secret')", before=("BEGIN", "INSERT INTO marked VALUES (2, 'x')")),
    S("trigger_time", "postgresql", (), "a read", "SELECT * FROM slow_journal"),
    # --- plan_regression
    S("plan_regression", "postgresql", ("error",), "three times as slow", "SELECT * FROM orders WHERE id = 5",
      how="estimated", history=(("before", 400, 0.004), ("now", 90, 0.013))),
    S("plan_regression", "postgresql", ("error",), "the plan before it counts, not the oldest",
      "SELECT * FROM orders WHERE id = 5", how="estimated",
      history=(("oldest", 90, 0.2), ("before", 30, 0.004), ("now", 30, 0.013))),
    S("plan_regression", "sqlite", ("error",), "any database", "SELECT * FROM orders WHERE id = ?",
      history=(("before", 31, 0.001), ("now", 31, 0.0021))),
    S("plan_regression", "postgresql", (), "too few samples", "SELECT * FROM orders WHERE id = 5",
      how="estimated", history=(("before", 400, 0.004), ("now", 29, 0.013))),
    S("plan_regression", "postgresql", (), "not slow enough", "SELECT * FROM orders WHERE id = 5",
      how="estimated", history=(("before", 400, 0.004), ("now", 90, 0.007))),
    S("plan_regression", "postgresql", (), "the same plan", "SELECT * FROM orders WHERE id = 5",
      how="estimated", history=(("now", 400, 0.004), ("now", 90, 0.013))),
)  # fmt: skip


_DASHBOARD: Final = """
WITH recent AS MATERIALIZED (SELECT * FROM orders WHERE placed_at > '2026-01-20Z')
SELECT r.code, (SELECT max(price) FROM fills f WHERE f.order_id = r.id) AS best
FROM recent r JOIN symbols s ON s.id = r.symbol_id
WHERE s.venue = 'v3' AND r.price > (SELECT avg(price) FROM fills WHERE id < 1000)
ORDER BY r.placed_at DESC LIMIT 5
"""
_MARIA_NESTED: Final = (
    "SELECT s.code, count(*) FROM orders o JOIN symbols s ON s.id = o.symbol_id"
    " WHERE o.price > (SELECT avg(price) FROM fills) AND s.code LIKE 'S1%' GROUP BY s.code ORDER BY 2"
)
SHAPES: Final = (
    S("dashboard", "postgresql", (), "", _DASHBOARD, before=("SET enable_hashjoin = off",)),
    S("parallel", "postgresql", (), "", "SELECT note, count(*) FROM orders WHERE price > 5 GROUP BY note",
      before=_PARALLEL),
    S("estimated", "postgresql", (), "", "UPDATE orders SET price = 1 WHERE symbol_id = 5", how="estimated"),
    S("trigger", "postgresql", (), "", "INSERT INTO slow_journal VALUES (1, 'secret')", before=("BEGIN",)),
    S("nested", "mariadb", (), "", _MARIA_NESTED),
    S("union", "mariadb", (), "", "SELECT id FROM orders WHERE id = 5 UNION SELECT id FROM fills"),
    S("derived", "mariadb", (), "", "SELECT * FROM (SELECT note, max(price) p FROM orders GROUP BY note) d"
      " WHERE p > 7", how="estimated"),
    S("compound", "sqlite", (), "", "SELECT o.code FROM orders o LEFT JOIN fills f ON f.order_id = o.id"
      " WHERE o.placed_at > '2026' AND o.id IN (SELECT order_id FROM fills WHERE price > 5)"
      " UNION SELECT code FROM symbols ORDER BY 1"),
    S("or", "sqlite", (), "", "SELECT * FROM orders WHERE symbol_id = 5 OR placed_at = 'x'"),
)  # fmt: skip


def main(rules: list[str]) -> int:
    """Record the scenarios of these rules, or of all."""
    wanted = [one for one in SCENARIOS if not rules or one.rule in rules]
    CASES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        recorders = _recorders(stack, {one.system for one in wanted})
        for rule in dict.fromkeys(one.rule for one in wanted):
            cases = [_case(one, recorders[one.system]) for one in wanted if one.rule == rule]
            lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
            (CASES / f"{rule}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
            sys.stdout.write(f"{rule}: {len(cases)} cases\n")
    return 0


def record_shapes() -> int:
    """Record plans for those who read them."""
    folder = CASES.with_name("shapes")
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        recorders = _recorders(stack, {one.system for one in SHAPES})
        for one in SHAPES:
            document = recorders[one.system](one)["plan"]
            path = folder / f"{one.system}_{one.rule}.json"
            path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _case(scenario: Scenario, recorder: Any) -> dict[str, Any]:
    case: dict[str, Any] = {
        "note": scenario.note,
        "system": scenario.system,
        "how": scenario.how,
        "found": list(scenario.found),
        "sql": scenario.sql,
        "tables": dict(scenario.tables),
        "history": list(scenario.history),
        **recorder(scenario),
    }
    return case


def _recorders(stack: ExitStack, systems: set[str]) -> Mapping[str, Any]:
    made: dict[str, Callable[[Scenario], dict[str, Any]]] = {"sqlite": _sqlite}
    if "postgresql" in systems:
        server = stack.enter_context(servers.postgresql_server(_executable("hypopg")))
        with psycopg.connect(server.url, autocommit=True) as connection:
            for statement in _statements(_PG_SCHEMA):
                connection.execute(statement.encode())
            connection.execute("VACUUM ANALYZE")
        made["postgresql"] = partial(_postgresql, server)
    if "mariadb" in systems:
        maria = stack.enter_context(servers.mariadb_server(_executable("mariadb")))
        _maria(maria, tuple(_statements(_MARIA_SCHEMA)), "SELECT 1")
        made["mariadb"] = partial(_mariadb, maria)
    return made


def _executable(name: str) -> Path:
    found = backends.backend(name)
    if isinstance(found, backends.Missing):
        raise SystemExit(str(found))
    return found.executable


def _statements(text: str) -> Iterator[str]:
    for block in text.split(";\n"):
        if block.strip():
            yield block


def _postgresql(server: servers.DatabaseServer, scenario: Scenario) -> dict[str, Any]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in (*_PG_SESSION, *scenario.before):
            connection.execute(statement.encode())
        if scenario.how != "generic":
            verb = "ANALYZE, BUFFERS, " if scenario.how == "measured" else ""
            return {"plan": _only(connection, f"EXPLAIN ({verb}FORMAT JSON) {scenario.sql}")}
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE generic AS {scenario.sql}".encode())
        nulls = ", ".join(["NULL"] * scenario.sql.count("$"))
        answer = {"plan": _only(connection, f"EXPLAIN (FORMAT JSON) EXECUTE generic ({nulls})")}
        if scenario.custom:
            answer["custom"] = _only(connection, f"EXPLAIN (FORMAT JSON) {scenario.custom}")
        return answer


def _only(connection: psycopg.Connection[Any], sql: str) -> Any:
    ((value,),) = connection.execute(sql.encode()).fetchall()
    return value


def _mariadb(server: servers.DatabaseServer, scenario: Scenario) -> dict[str, Any]:
    verb = "ANALYZE" if scenario.how == "measured" else "EXPLAIN"
    ((document,),) = _maria(server, scenario.before, f"{verb} FORMAT=JSON {scenario.sql}")
    return {"plan": json.loads(document)}


def _maria(server: servers.DatabaseServer, before: tuple[str, ...], sql: str) -> Any:
    connection = pymysql.connect(
        host=server.host, port=server.port, user=server.user, database=server.database, autocommit=True
    )
    with connection, connection.cursor() as cursor:
        for statement in before:
            cursor.execute(statement)
        cursor.execute(sql)
        return cursor.fetchall()


def _sqlite(scenario: Scenario) -> dict[str, Any]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(_SQLITE_SCHEMA)
        for statement in scenario.before:
            connection.execute(statement)
        nothing = [None] * scenario.sql.count("?")
        return {"plan": connection.execute(f"EXPLAIN QUERY PLAN {scenario.sql}", nothing).fetchall()}
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(record_shapes() if sys.argv[1:] == ["shapes"] else main(sys.argv[1:]))
