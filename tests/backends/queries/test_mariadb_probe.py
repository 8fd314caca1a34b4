"""The probe of MariaDB against a server that logs every statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pymysql
import pytest
from probed_database import MARIADB_SCHEMA, Never, never

from scripts.servers import DatabaseServer
from tickspan.analysis.plans import PlanSource
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect
from tickspan.processors.queries.probes.mysql import MysqlProbe

pytestmark = pytest.mark.backends

_IN_CATALOG = (
    Never(Dialect.MYSQL, "the view acting_view: acting is no function*", "SELECT * FROM acting_view"),
    Never(Dialect.MYSQL, "numbers is a sequence", "SELECT * FROM numbers"),
    Never(Dialect.MYSQL, "nowhere is no table that this account can see", "SELECT * FROM nowhere"),
)
_ADMITTED = (
    "SELECT * FROM orders WHERE symbol = %s AND placed_at > %s",
    "SELECT o.id FROM orders o LEFT JOIN fills f ON f.order_id = o.id WHERE lower(o.symbol) = %s LIMIT %s",
    "SELECT * FROM orders WHERE id IN (?) ORDER BY placed_at DESC LIMIT ? OFFSET ?",
    "INSERT INTO orders (id, symbol) VALUES (%s, %s)",
    "UPDATE orders SET price = ? WHERE id = ?",
    "DELETE FROM orders WHERE placed_at < ?",
    "SELECT * FROM good_view WHERE symbol = 'S7'",
)
_OURS = re.compile(
    r"(?:/\* tickspan:probe \*/ )?"
    r"(?:START TRANSACTION(?: READ ONLY)?|ROLLBACK|SET SESSION .*|SET STATEMENT .*"
    r"|SHOW SESSION STATUS LIKE 'Last_query_cost'|EXPLAIN FORMAT=JSON .*|SELECT .* FROM information_schema.*"
    r"|SELECT .*(?:mysql\.|information_schema\.|VERSION\(\)|DATABASE\(\)).*|SET (?:NAMES|AUTOCOMMIT).*)",
    re.DOTALL | re.IGNORECASE,
)


def _connect(server: DatabaseServer, database: str | None = None) -> Any:
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, database=database, autocommit=True
    )


@pytest.fixture(scope="module")
def dsn(mariadb_server: DatabaseServer) -> Iterator[str]:
    """Of the account `prober`, which may read and, for EXPLAIN's sake, write; its statements are logged."""
    with _connect(mariadb_server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE probed")
        cursor.execute("USE probed")
        for statement in MARIADB_SCHEMA.split(";\n"):
            cursor.execute(statement.replace("|", ";"))
        cursor.execute("CREATE USER prober")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE, SHOW VIEW, EXECUTE ON probed.* TO prober")
        cursor.execute("SET GLOBAL log_output = 'TABLE'")
        cursor.execute("SET GLOBAL general_log = ON")
    yield f"mysql://prober@{mariadb_server.host}:{mariadb_server.port}/probed"
    with _connect(mariadb_server) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL general_log = OFF")


@pytest.fixture
def probe(dsn: str) -> Iterator[MysqlProbe]:
    with MysqlProbe(dsn) as probe:
        yield probe


def logged(server: DatabaseServer) -> list[str]:
    """What the account sent so far."""
    with _connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT argument FROM mysql.general_log WHERE user_host LIKE 'prober%' AND command_type = 'Query'"
        )
        return [row[0].decode() if isinstance(row[0], bytes) else row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("case", [*never(Dialect.MYSQL), *_IN_CATALOG], ids=lambda case: case.sql)
def test_a_statement_that_could_act_is_refused_with_its_reason(probe: MysqlProbe, case: Never) -> None:
    with pytest.raises(Refused) as refused:
        probe.explain(case.sql)
    assert fnmatchcase(str(refused.value), case.reason)


@pytest.mark.parametrize("sql", _ADMITTED)
def test_an_ordinary_statement_of_an_application_is_explained(probe: MysqlProbe, sql: str) -> None:
    plan = probe.explain(sql)
    assert plan.system == "mariadb"
    assert {node.relation for node in plan.nodes()} & {"orders", "good_view"}


def test_the_server_sees_catalog_reads_and_admitted_explains_only(
    mariadb_server: DatabaseServer, probe: MysqlProbe
) -> None:
    before = len(logged(mariadb_server))
    hostile = [case.sql for case in (*never(Dialect.MYSQL), *_IN_CATALOG)]
    for sql in hostile:
        with pytest.raises(Refused):
            probe.explain(sql)
    for sql in _ADMITTED:
        probe.explain(sql)
    seen = logged(mariadb_server)[before:]
    assert [sql for sql in seen if not _OURS.fullmatch(sql)] == []
    assert sum("EXPLAIN FORMAT=JSON" in sql for sql in seen) == len(_ADMITTED)
    assert not any(sql.rstrip(";") in told for sql in hostile for told in seen)


def test_nothing_was_written_by_any_of_it(mariadb_server: DatabaseServer, probe: MysqlProbe) -> None:
    for sql in [case.sql for case in (*never(Dialect.MYSQL), *_IN_CATALOG)]:
        with pytest.raises(Refused):
            probe.explain(sql)
    for sql in _ADMITTED:
        probe.explain(sql)
    with _connect(mariadb_server, "probed") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM audit), (SELECT count(*) FROM orders)")
        assert cursor.fetchall() == ((0, 5000),)


def test_a_placeholder_gets_a_value_of_its_columns_type_so_that_indexes_count(probe: MysqlProbe) -> None:
    plan = probe.explain("SELECT * FROM orders o WHERE o.symbol = ?")
    node = next(node for node in plan.nodes() if node.relation)
    assert (plan.source, node.kind, node.relation, node.alias, node.index) == (
        PlanSource.GENERIC,
        "ref",
        "orders",
        "o",
        "orders_symbol",
    )
    assert node.rows == pytest.approx(100, rel=0.2)


def test_the_cost_is_that_of_the_statement(probe: MysqlProbe) -> None:
    whole = probe.explain("SELECT * FROM orders").cost
    one = probe.explain("SELECT * FROM orders WHERE symbol = ?").cost
    assert whole is not None
    assert one is not None
    assert whole > one > 0


def test_a_write_has_no_cost(probe: MysqlProbe) -> None:
    assert probe.explain("UPDATE orders SET price = ? WHERE id = ?").cost is None


def test_a_select_is_run_for_its_plan_when_a_person_asks(probe: MysqlProbe) -> None:
    plan = probe.explain("SELECT * FROM orders WHERE price < 11", analyze=True)
    node = next(node for node in plan.nodes() if node.relation)
    assert (plan.source, node.actual_rows, node.removed_rows) == (PlanSource.ANALYZE, 10, 4990)


def test_the_servers_refusal_is_told_by_its_number_without_values(probe: MysqlProbe) -> None:
    with pytest.raises(Refused) as refused:
        probe.explain("SELECT nothing FROM orders WHERE symbol = 'secret'")
    assert str(refused.value) == "the database does not plan it: OperationalError (1054)"


def test_two_statements_cannot_be_sent_at_once(probe: MysqlProbe) -> None:
    probe.explain("SELECT * FROM orders")
    connection = probe._connected()
    with pytest.raises(pymysql.err.ProgrammingError), connection.cursor() as cursor:
        cursor.execute("SELECT 1; INSERT INTO audit VALUES ('ran')")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with MysqlProbe("mysql://prober@127.0.0.1:1/none") as probe, pytest.raises(Unreachable):
        probe.explain("SELECT 1")


def test_the_schema_comes_over_the_same_connection(probe: MysqlProbe) -> None:
    table = probe.schema().table("orders")
    assert table is not None
    assert [column.name for column in table.columns] == ["id", "symbol", "price", "placed_at"]
