"""Databases that probes are tried on: one with the tables of the corpus, and an account with few rights."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from probed_database import POSTGRESQL_SCHEMA, Probed

from scripts.servers import DatabaseServer


@pytest.fixture(scope="session")
def probed(hypopg_server: DatabaseServer) -> Probed:
    """The corpus's tables, functions and views."""
    found = Probed(hypopg_server, "probed")
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE probed")
        connection.execute("CREATE ROLE prober LOGIN")
        connection.execute("ALTER ROLE prober SET log_statement = 'all'")
    with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
        connection.execute(POSTGRESQL_SCHEMA.encode())
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO prober")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO prober")
    return found
