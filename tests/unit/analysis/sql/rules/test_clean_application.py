"""Rules are quiet about healthy programs: the demo's bot and the example of a back-test."""

import asyncio
import random
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql

from tickspan.analysis.findings import Finding, Severity
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.parsed import parse
from tickspan.analysis.sql.rules import Checker, Context
from tickspan.demo.bot import Base, Bot, BotConfig, Limit, Order

ROOT = Path(__file__).parents[5]
FILL = {"id": "1", "order": "o1", "symbol": "BTC/USDT", "side": "buy", "amount": 1.0, "price": 90_000.0}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What every engine executes meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    event.remove(sa.Engine, "before_cursor_execute", note)


def findings(statements: list[str], dialect: Dialect) -> list[Finding]:
    checker = Checker()
    parsed = [parse(statement, dialect) for statement in statements]
    return [found for one in parsed for found in checker.check(one, Context(one.statement, dialect))]


def above_info(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.rule, one.message) for one in found if one.severity > Severity.INFO]


async def trade() -> None:
    """What the bot does with its database, without a venue."""
    bot = Bot(BotConfig({}, "sqlite+aiosqlite://", "redis://localhost:1", ["BTC/USDT"], 1.0))
    bot.cache = fakeredis.FakeAsyncRedis(decode_responses=True)
    async with bot.engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with bot.session.begin() as session:
        session.add(Limit(symbol="BTC/USDT", amount=1.0, largest_position=10.0))
        session.add(Order(id="o1", symbol="BTC/USDT", side="buy", amount=1.0))
    await bot.limit("BTC/USDT")
    await bot.position("BTC/USDT")
    bot.open.add("o1")
    await bot.note(FILL)
    assert await bot.is_booked(FILL)
    await bot.exchange.close()
    await bot.cache.aclose()
    await bot.engine.dispose()


def test_the_demos_bot_gives_no_cause_for_a_warning(statements: list[str]) -> None:
    asyncio.run(trade())
    assert {statement.split()[0] for statement in statements} >= {"CREATE", "INSERT", "SELECT", "UPDATE"}
    assert above_info(findings(statements, Dialect.SQLITE)) == []


def test_its_floats_are_mentioned(statements: list[str]) -> None:
    asyncio.run(trade())
    rules = {found.rule for found in findings(statements, Dialect.SQLITE)}
    assert rules == {"money_as_float"}


def test_the_back_test_gives_no_cause_for_a_warning(
    statements: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = random.getstate()
    monkeypatch.setattr(sys, "argv", ["backtest.py", "--bars", "200"])
    runpy.run_path(str(ROOT / "examples/backtest.py"), run_name="__main__")
    random.setstate(state)
    assert "fills, digest" in capsys.readouterr().out
    assert above_info(findings(statements, Dialect.SQLITE)) == []


def test_what_the_bot_asks_of_postgresql_gives_none_either() -> None:
    columns = Limit.__table__.c
    asked = [
        sa.select(Limit).where(columns.symbol == "BTC/USDT"),
        sa.select(sa.func.sum(Limit.amount)).where(Limit.symbol == "BTC/USDT"),
        sa.update(Order).where(Order.id == "o1").values(status="filled"),
        sa.insert(Order).values(id="o1", symbol="BTC/USDT", side="buy", amount=1.0),
    ]
    texts = [str(one.compile(dialect=postgresql.asyncpg.dialect())) for one in asked]
    assert above_info(findings(texts, Dialect.POSTGRESQL)) == []
