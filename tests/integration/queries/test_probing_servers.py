"""The tap asks PostgreSQL and MariaDB: plans that change, indexes, tables; and the command asks MariaDB."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from probing import Probing

from scripts.servers import DatabaseServer
from tickspan.cli import main
from tickspan.semconv import db
from tickspan.semconv import findings as names

pytestmark = pytest.mark.backends

_NAME = "probing_tap"
_SQL = "SELECT price FROM fills WHERE order_id = %s"
_SECRET = "s3cret"
_DROP = "SET lock_timeout = '5s'; DROP INDEX CONCURRENTLY"

Execute = Callable[[str], None]


@pytest.fixture
def postgresql(hypopg_server: DatabaseServer) -> Iterator[tuple[str, Execute]]:
    """The DSN of an account with the rights that the how-to names, and a way to change the database."""
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {_NAME}".encode())
        admin.execute("CREATE ROLE tap_prober LOGIN")
    connection = psycopg.connect(address, autocommit=True)

    def execute(sql: str) -> None:
        connection.execute(sql.encode())

    execute("CREATE TABLE orders (id int PRIMARY KEY)")
    execute(
        "CREATE TABLE fills (id int PRIMARY KEY, order_id int REFERENCES orders, price float8, note text)"
    )
    execute("INSERT INTO orders SELECT generate_series(1, 5000)")
    execute(f"INSERT INTO fills SELECT n, 1 + n % 5000, 1, '{_SECRET}' FROM generate_series(1, 50000) n")
    execute("CREATE INDEX fills_order ON fills (order_id)")
    execute("CREATE INDEX fills_order_price ON fills (order_id, price)")
    execute("CREATE INDEX fills_note ON fills (note) WHERE note = 's3cret'")
    execute("ANALYZE")
    execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO tap_prober")
    yield address.replace("//postgres@", "//tap_prober@"), execute
    connection.close()
    with psycopg.connect(hypopg_server.url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {_NAME} WITH (FORCE)".encode())
        admin.execute("DROP ROLE tap_prober")


@pytest.fixture
def mariadb(mariadb_server: DatabaseServer) -> Iterator[tuple[str, Execute]]:
    """The same on MariaDB."""
    connection: Any = pymysql.connect(
        host=mariadb_server.host, port=mariadb_server.port, user=mariadb_server.user, autocommit=True
    )

    def execute(sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    execute(f"CREATE DATABASE {_NAME}")
    execute(f"USE {_NAME}")
    execute("CREATE TABLE fills (id int PRIMARY KEY, order_id int, price double, note varchar(20))")
    execute(f"INSERT INTO fills SELECT seq, 1 + seq % 5000, 1, '{_SECRET}' FROM seq_1_to_50000")
    execute("CREATE INDEX fills_order ON fills (order_id)")
    execute("CREATE INDEX fills_order_price ON fills (order_id, price)")
    execute("ANALYZE TABLE fills PERSISTENT FOR ALL")
    execute("CREATE USER tap_prober")
    execute(f"GRANT SELECT, SHOW VIEW ON {_NAME}.* TO tap_prober")
    yield f"mysql://tap_prober@{mariadb_server.host}:{mariadb_server.port}/{_NAME}", execute
    execute(f"DROP DATABASE {_NAME}")
    execute("DROP USER tap_prober")
    connection.close()


def _is_changed(probing: Probing, drop: Callable[[], None]) -> None:
    """A statement runs under one plan, then, without an index, under another and slower."""
    probing.ran(_SQL, 30, 2)
    probing.until_explained(1)
    probing.ran(_SQL, 30, 2)
    drop()
    probing.ran(_SQL, 30, 20)
    probing.until_explained(2)
    probing.ran(_SQL, 30, 20)


def _changed_index(probing: Probing) -> tuple[str, str]:
    """The index that the statement's plan used, and the kind of the step that replaced it."""
    before, after = (json.loads(str(plan.body)) for plan in probing.plans())
    return _leaf(before)["index"], _leaf(after)["kind"]


def _leaf(node: dict[str, Any]) -> dict[str, Any]:
    return _leaf(node["children"][0]) if node["children"] else node


def test_on_postgresql_a_plan_that_changes_and_makes_calls_slower_is_told(
    postgresql: tuple[str, Execute], tmp_path: Path
) -> None:
    dsn, execute = postgresql
    probing = Probing(tmp_path, dsn, "postgresql", _NAME)
    _is_changed(probing, lambda: execute("DROP INDEX fills_order, fills_order_price"))
    (told,) = probing.findings("plan_regression")
    index, kind = _changed_index(probing)
    assert (index in {"fills_order", "fills_order_price"}, kind) == (True, "Seq Scan")
    assert (told.severity_text, told.attributes[db.DB_SYSTEM_NAME]) == ("ERROR", "postgresql")
    assert not any(_SECRET in str(log) for log in probing.logs)


def test_on_postgresql_indexes_and_types_are_judged_by_the_catalog(
    postgresql: tuple[str, Execute], tmp_path: Path
) -> None:
    dsn, execute = postgresql
    execute("CREATE TABLE parts (id int, n int)")
    execute("INSERT INTO parts VALUES (1, 1), (1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute("CREATE UNIQUE INDEX CONCURRENTLY parts_id ON parts (id)")
    probing = Probing(tmp_path, dsn, "postgresql", _NAME)
    probing.ran("UPDATE fills SET price = %s WHERE id = %s", 1, 2)
    probing.until(lambda: bool(probing.findings("money_as_float")))
    told = {
        (str(log.attributes[names.FINDING_RULE]), str(log.attributes[names.FINDING_ADVICE]))
        for rule in ("redundant_index", "invalid_index")
        for log in probing.findings(rule)
    }
    assert told == {
        (
            "redundant_index",
            f"{_DROP} public.fills_order;",
        ),
        (
            "invalid_index",
            f"Unless pg_stat_progress_create_index shows it: {_DROP} public.parts_id;",
        ),
    }
    assert not any(_SECRET in str(log) for log in probing.logs)


def test_on_postgresql_a_slow_generic_plan_is_compared_with_the_one_for_a_common_value(
    postgresql: tuple[str, Execute], tmp_path: Path
) -> None:
    dsn, execute = postgresql
    execute("CREATE TABLE states (id int, state text)")
    execute(
        "INSERT INTO states SELECT n, CASE WHEN n % 3 = 0 THEN 'x' || n ELSE 's3cret' END"
        " FROM generate_series(1, 30000) n"
    )
    execute("CREATE INDEX states_secret ON states (id) WHERE state = 's3cret'")
    execute("ANALYZE states")
    execute("GRANT SELECT ON states TO tap_prober")
    probing = Probing(tmp_path, dsn, "postgresql", _NAME)
    probing.ran("SELECT max(id) FROM states WHERE state = %s", 1, 900)
    probing.until(lambda: bool(probing.findings("generic_plan_worse")))
    (told,) = probing.findings("generic_plan_worse")
    evidence = json.loads(str(told.attributes[names.FINDING_EVIDENCE]))
    assert (evidence["generic_cost"] > 100, evidence["custom_cost"] < 1) == (True, True)
    assert not any(_SECRET in str(log) for log in probing.logs)


def test_on_mariadb_a_plan_that_changes_and_makes_calls_slower_is_told(
    mariadb: tuple[str, Execute], tmp_path: Path
) -> None:
    dsn, execute = mariadb
    probing = Probing(tmp_path, dsn, "mariadb", _NAME)
    _is_changed(
        probing, lambda: execute("ALTER TABLE fills DROP INDEX fills_order, DROP INDEX fills_order_price")
    )
    (told,) = probing.findings("plan_regression")
    index, kind = _changed_index(probing)
    assert (index in {"fills_order", "fills_order_price"}, kind) == (True, "ALL")
    assert (told.severity_text, told.attributes[db.DB_SYSTEM_NAME]) == ("ERROR", "mariadb")
    assert [log.attributes[names.FINDING_ADVICE] for log in probing.findings("redundant_index")] == [
        f"DROP INDEX fills_order ON {_NAME}.fills;"
    ]
    assert not any(_SECRET in str(log) for log in probing.logs)


@pytest.mark.parametrize("words", [(), ("--analyze",), ("--json",), ("--format", "markdown")])
def test_the_command_explains_a_statement_of_mariadb_without_its_values(
    mariadb: tuple[str, Execute],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FILLS_DSN", mariadb[0])
    sql = f"SELECT price FROM fills WHERE price > 4711 AND note = '{_SECRET}'"
    status = main(["queries", "explain", sql, "--dsn-env", "FILLS_DSN", *words])
    printed, told = capsys.readouterr()
    assert (status, told, "ALL" in printed, "fills" in printed) == (0, "", True, True)
    assert (_SECRET in printed, "4711" in printed) == (False, False)
