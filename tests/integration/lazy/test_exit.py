"""A program that ends in the middle of an iteration ends well."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import asyncio, warnings
warnings.simplefilter("error")
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from tickspan import lazy

engine = sa.create_engine("sqlite:///trades.db", poolclass=NullPool)  # what is returned is closed
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE trades (id INTEGER PRIMARY KEY)")
    connection.exec_driver_sql(
        "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
        "SELECT i FROM n"
    )
source = lazy.table(engine, "trades", snapshot=True)
rows = lazy.rows(source, chunk=10)
print(next(rows), rows.statistics().is_open)


async def main():
    asynchronous = create_async_engine("sqlite+aiosqlite:///trades.db", poolclass=NullPool)
    async with lazy.rows(lazy.table(asynchronous, "trades"), chunk=10) as rows:
        async for row in rows:
            print(row)
            break


asyncio.run(main())
"""


def test_a_program_that_ends_in_the_middle_says_nothing(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = run_python(PROGRAM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "(1,) True\n(1,)\n", "")
