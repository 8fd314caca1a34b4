"""Pools whose telemetry is captured, forgotten after each test."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import pool

from tickspan.pools import telling
from tickspan.pools.broker.budget import forget_budgets
from tickspan.pools.registry import registry
from tickspan.testing import Capture

Make = Callable[..., Any]


@pytest.fixture
def told(telemetry: Capture) -> Generator[Capture]:
    """What pools tell."""
    telling.use(telemetry.meter_provider, telemetry.logger_provider)
    yield telemetry
    registry.clear()
    forget_budgets()
    telling.use(None, None)


@pytest.fixture
def make_engine(told: Capture, tmp_path: Path) -> Generator[Make]:
    """Engines over a file of SQLite, disposed of at the end."""
    engines: list[Any] = []

    def make(**options: Any) -> Any:
        chosen = {
            "poolclass": pool.QueuePool,
            "pool_size": 2,
            "max_overflow": 0,
            "pool_timeout": 5,
            **options,
        }
        made = sqlalchemy.create_engine(
            f"sqlite:///{tmp_path}/book.db", connect_args={"check_same_thread": False}, **chosen
        )
        engines.append(made)
        return made

    yield make
    for engine in engines:
        engine.dispose()
