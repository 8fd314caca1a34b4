"""No literal of a statement is left of its plan, whatever the server made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psycopg
import pymysql
import pytest
from probed_database import Probed

from scripts.servers import DatabaseServer
from tickspan.analysis.plans import Plan, PlanSource, mysql, postgresql
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.document import PlanFormatError, load
from tickspan.analysis.plans.redact import compact, redact
from tickspan.analysis.plans.render import render
from tickspan.analysis.plans.rules import CHECKS
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema, Table
from tickspan.testing.sql import GeneratedStatement, Literal, literal, statement

pytestmark = pytest.mark.backends

_TABLES = ("orders", "fills", "trades", "accounts", "t1")
_SCHEMA = Schema(tuple(Table(name, rows=50_000) for name in _TABLES))
_COUNT = 1_200
_SHAPES = (
    "SELECT {0} AS made, o.symbol FROM orders o WHERE o.symbol = {0} OR o.side IN ({0}, {0})",
    "SELECT max(CASE WHEN symbol = {0} THEN side ELSE {0} END) FROM orders GROUP BY coalesce(symbol, {0})",
    "SELECT * FROM orders o JOIN fills f ON f.side = concat(o.side, {0}) ORDER BY concat(o.symbol, {0})",
    "WITH r AS (SELECT symbol FROM orders WHERE side <> {0} LIMIT 3) SELECT * FROM r WHERE symbol LIKE {0}",
    "SELECT * FROM orders WHERE symbol = (SELECT max(side) FROM fills WHERE side > {0}) AND side < {0}",
    "UPDATE orders SET side = {0} WHERE symbol = {0}",
    "INSERT INTO fills (symbol) SELECT concat(symbol, {0}) FROM orders WHERE side >= {0}",
    "DELETE FROM orders WHERE symbol BETWEEN {0} AND {0}",
    "SELECT rank() OVER (PARTITION BY concat(symbol, {0}) ORDER BY side) FROM orders",
    "SELECT symbol FROM orders WHERE side = {0} UNION SELECT {0}",
)

Explain = Callable[[str], Any]


@pytest.fixture
def explain_postgresql(hypopg_server: DatabaseServer) -> Iterator[Explain]:
    """Raw plans with everything in them; None for a statement that the server does not plan."""
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA redacted")
        connection.execute("SET search_path = redacted")
        for table in _TABLES:
            connection.execute(
                f"CREATE TABLE {table} (id text, symbol text, price text, side text, created_at timestamptz,"
                " venue_order_id text, note jsonb)".encode()
            )

        def explain(sql: str) -> Any:
            try:
                answer = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}".encode())
                ((document,),) = answer.fetchall()
            except (psycopg.Error, ValueError):
                return None
            return document

        yield explain
        connection.execute("DROP SCHEMA redacted CASCADE")


@pytest.fixture
def explain_mariadb(mariadb_server: DatabaseServer) -> Iterator[Explain]:
    """The same of MariaDB."""
    server = mariadb_server
    connection = pymysql.connect(host=server.host, port=server.port, user=server.user, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE redacted")
        cursor.execute("USE redacted")
        for table in _TABLES:
            cursor.execute(
                f"CREATE TABLE {table} (id VARCHAR(99), symbol VARCHAR(99), price VARCHAR(99),"
                " side VARCHAR(99), created_at VARCHAR(99), venue_order_id VARCHAR(99), note VARCHAR(99))"
            )
            cursor.execute(f"INSERT INTO {table} (id, symbol, side) SELECT seq, seq, seq FROM seq_1_to_20")

        def explain(sql: str) -> Any:
            try:
                cursor.execute(f"EXPLAIN FORMAT=JSON {sql}")
                ((document,),) = cursor.fetchall()
            except (pymysql.err.Error, ValueError):
                return None
            return document

        yield explain
        cursor.execute("DROP DATABASE redacted")


def told(plan: Plan, document: Any, dialect: Dialect) -> str:
    """All that could leave the process."""
    findings = [found for _, check in CHECKS for found in check(PlanContext(plan, schema=_SCHEMA))]
    return "\n".join((compact(redact(document, dialect)), repr(plan), repr(findings), render(plan, findings)))


def _filled(value: Literal, dialect: str) -> Iterator[str]:
    """Statements around one literal, as text: what is a number or binary is cast by concatenation."""
    text = value.sql if dialect == "mysql" else f"concat({value.sql}, '')"
    yield from (shape.format(text) for shape in _SHAPES)


def test_postgresqls_plans_hold_no_literal(explain_postgresql: Explain) -> None:
    explained = 0
    for sql, secrets in _examples("postgresql"):
        document = explain_postgresql(sql)
        if document is not None:
            explained += 1
            plan = postgresql.plan_of(document, PlanSource.CUSTOM)
            assert _left(secrets, told(plan, document, Dialect.POSTGRESQL)) == (), sql
    assert explained > _COUNT


def test_mariadbs_plans_hold_no_literal(explain_mariadb: Explain) -> None:
    explained = 0
    for sql, secrets in _examples("mysql"):
        text = explain_mariadb(sql)
        if text is None:
            continue
        try:
            plan = mysql.read_plan(text, PlanSource.CUSTOM, system="mariadb")
        except PlanFormatError:
            continue
        explained += 1
        assert _left(secrets, told(plan, load(text), Dialect.MYSQL)) == (), sql
    assert explained > _COUNT


def test_a_literal_that_would_pass_for_a_member_of_mariadbs_document_is_refused(
    explain_mariadb: Explain,
) -> None:
    text = explain_mariadb("""SELECT * FROM orders WHERE symbol = 'x", "key": "Secret1x'""")
    assert json.loads(text)["query_block"]["nested_loop"][0]["table"]["key"] == "Secret1x'"
    with pytest.raises(PlanFormatError, match="a line that a literal may have torn"):
        mysql.read_plan(text, PlanSource.CUSTOM, system="mariadb")


def test_the_servers_own_plans_do_hold_them(explain_postgresql: Explain, explain_mariadb: Explain) -> None:
    """Or the two tests above would prove nothing."""
    sql = "SELECT * FROM orders WHERE symbol = 'Secret1x'"
    assert "Secret1x" in json.dumps(explain_postgresql(sql))
    assert "Secret1x" in explain_mariadb(sql)


def _examples(dialect: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    source = Random(20261126)
    for _ in range(_COUNT):
        generated: GeneratedStatement = statement(source, dialect, may_be_cut=False)
        yield generated.sql.replace("public.", ""), generated.secrets
    for _ in range(_COUNT // 4):
        value = literal(source, dialect)
        for sql in _filled(value, dialect):
            yield sql, value.secrets


def _left(secrets: tuple[str, ...], text: str) -> tuple[str, ...]:
    return tuple(secret for secret in secrets if secret.casefold() in text.casefold())


def test_auto_explains_query_text_is_canonical(probed: Probed) -> None:
    heard: list[str] = []
    with psycopg.connect(probed.url("postgres"), autocommit=True) as connection:
        connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary or ""))
        connection.execute(
            "SELECT set_config('auto_explain.log_min_duration', '0', false),"
            " set_config('auto_explain.log_level', 'notice', false),"
            " set_config('auto_explain.log_verbose', 'on', false),"
            " set_config('auto_explain.log_format', 'json', false)"
        )
        heard.clear()
        connection.execute("SELECT 'Secret1x' AS made FROM orders WHERE symbol = 'Secret2x' -- Secret3x")
    (message,) = heard
    document = json.loads(message.partition("plan:\n")[2])
    assert "Secret3x" in document["Query Text"]
    clean: Any = redact(document, Dialect.POSTGRESQL)
    assert clean["Query Text"] == "SELECT ? AS made FROM orders WHERE symbol = ?"
    assert clean["Plan"]["Output"] == ["?::text"]
    assert "Secret" not in compact(clean)
