"""The pytest plugin of `check_pools.py`: each pool of SQLAlchemy governed, each test's outcome as data."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any, Final

import pytest

_outcomes: Final[dict[str, str]] = {}  # pytest gives the report hook no config to keep them in
_governed: Final = itertools.count(1)
_LAST: Final = [0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--governed` and `--outcomes`."""
    parser.addoption("--governed", action="store_true", help="govern each pool before its first checkout")
    parser.addoption("--outcomes", type=Path, help="write {test: outcome} as JSON to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Govern from the first test on."""
    if config.getoption("--governed"):
        govern_all()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of set-up, call and tear-down."""
    if report.when == "call" or report.outcome != "passed":
        worst = _outcomes.get(report.nodeid) == "failed"
        _outcomes[report.nodeid] = "failed" if worst else report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes; a run that was to govern and governed nothing has shown nothing."""
    if session.config.getoption("--governed") and not _LAST[0]:
        raise RuntimeError("no pool was governed")
    path: Path | None = session.config.getoption("--outcomes")
    if path is not None:
        path.write_text(json.dumps({"outcomes": _outcomes, "governed": _LAST[0]}))


def govern_all() -> None:
    """Put `govern` before each pool's first checkout."""
    from sqlalchemy import pool

    from tickspan.recording import strict

    strict().__enter__()  # a fault of ours fails the test in which it happens
    for owner in (pool.Pool, pool.SingletonThreadPool):
        setattr(owner, "connect", _governing(vars(owner)["connect"]))  # noqa: B010 - the type knows it as final


def _governing(original: Any) -> Any:
    from tickspan.pools import govern

    @functools.wraps(original)
    def connect(self: Any) -> Any:
        if "_check_pools_governed" not in vars(self):
            _LAST[0] = number = next(_governed)
            vars(self)["_check_pools_governed"] = govern(
                self,
                name=f"pool-{number}",
                is_fair=True,
                max_hold_s=600,
                max_lifetime_s=3600,
                ping_after_idle_s=600,
                reclaim="dead",
            )
        return original(self)

    return connect
