"""What every instrumentor owes, on SQLite: `sqlite3` in blocking code, `aiosqlite` under asyncio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SELECT = sqlalchemy.text("SELECT id, symbol FROM orders WHERE quantity > :quantity ORDER BY id")
UPDATE = sqlalchemy.text("UPDATE orders SET quantity = 11 WHERE symbol = 'AAPL'")
DUPLICATE = sqlalchemy.text("INSERT INTO orders VALUES (4, 'AAPL', 40)")


class TestConformance(InstrumentorConformance):
    instrumentor = SQLAlchemyInstrumentor

    @pytest.fixture
    def calls(self, book: Path) -> Sequence[Call]:
        def run(statement: Any, **parameters: Any) -> list[Any]:
            engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True)
            try:
                with engine.begin() as connection:
                    result = connection.execute(statement, parameters)
                    return [tuple(row) for row in result] if result.returns_rows else [result.rowcount]
            finally:
                engine.dispose()

        async def run_async(statement: Any, **parameters: Any) -> list[Any]:
            engine = create_async_engine(f"sqlite+aiosqlite:///{book}")
            try:
                async with engine.begin() as connection:
                    result = await connection.execute(statement, parameters)
                    return [tuple(row) for row in result] if result.returns_rows else [result.rowcount]
            finally:
                await engine.dispose()

        return [
            Call("select", lambda: run(SELECT, quantity=15), lambda: run_async(SELECT, quantity=15)),
            Call("update", lambda: run(UPDATE), lambda: run_async(UPDATE)),
            Call(
                "duplicate",
                lambda: run(DUPLICATE),
                lambda: run_async(DUPLICATE),
                error=exc.IntegrityError,
            ),
        ]
