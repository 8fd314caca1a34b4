"""`tickspan bench` against a real PostgreSQL."""

from __future__ import annotations

import json

import psycopg
import pytest

from tickspan.cli import main

pytestmark = pytest.mark.backends

_TABLES = "SELECT count(*) FROM pg_class WHERE relname = 'tickspan_bench'"


def test_a_simple_select_is_measured_and_leaves_nothing(
    postgresql_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["bench", "--only", "postgresql", "--database", postgresql_server, "--seconds", "0.05", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    with psycopg.connect(postgresql_server) as connection:
        left = connection.execute(_TABLES).fetchone()
    assert (row["what"].partition("+")[0], row["target"]) == (
        "simple SELECT, postgresql",
        "10 to 50 ms, 1,000 a second",
    )
    assert row["standing"] in {"met", "missed"}
    assert left == (0,)


def test_a_server_that_lets_the_user_in_is_found(
    postgresql_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(postgresql_server) as connection:
        told = connection.info
        for name, value in (("PGHOST", told.host), ("PGPORT", str(told.port)), ("PGUSER", told.user)):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    main(["bench", "--only", "postgresql", "--seconds", "0.05", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["standing"] in {"met", "missed"}
