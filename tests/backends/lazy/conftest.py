"""Databases for tests of lazy rows: SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from mixed_keys import MIXED
from trades import create_trades

from scripts.servers import DatabaseServer


@pytest.fixture(scope="session")
def postgresql(postgresql_server: str) -> sa.URL:
    """A database of these tests, with the tables `mixed` and `trades`."""
    url = sa.make_url(postgresql_server).set(drivername="postgresql+psycopg")
    return _made(url, "lazy")


@pytest.fixture(scope="session")
def mariadb(mariadb_server: DatabaseServer) -> sa.URL:
    """A database of these tests, with the tables `mixed` and `trades`."""
    url = sa.make_url(mariadb_server.url).set(drivername="mariadb+pymysql")
    return _made(url, "lazy")


def _made(url: sa.URL, name: str) -> sa.URL:
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    server.dispose()
    return _filled(url.set(database=name))


def _filled(url: sa.URL) -> sa.URL:
    engine = sa.create_engine(url)
    MIXED.metadata.create_all(engine)
    create_trades(engine, 5_000)
    engine.dispose()
    return engine.url


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> sa.URL:
    """A database file with the tables `mixed` and `trades`."""
    path = tmp_path_factory.mktemp("lazy") / "lazy.db"
    return _filled(sa.make_url(f"sqlite:///{path}"))


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.integration),
        pytest.param("postgresql", marks=pytest.mark.backends),
        pytest.param("mariadb", marks=pytest.mark.backends),
    ]
)
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """An engine of each database with 5,000 trades, whose pool must be full again at the end."""
    engine = sa.create_engine(request.getfixturevalue(request.param))
    yield engine
    assert engine.pool.checkedout() == 0  # pyright: ignore[reportAttributeAccessIssue] - of a QueuePool
    engine.dispose()
