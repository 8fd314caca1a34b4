"""`tickspan demo` as a person types it: what it promises, and how it says that it cannot."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tickspan.demo.signals import Signal

pytestmark = pytest.mark.e2e

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@dataclass(frozen=True, slots=True)
class Demo:
    """How a demonstration ended: its report, and what it showed on stderr."""

    status: int
    report: Mapping[str, Any] = field(repr=False)
    shown: str = field(repr=False)


def _perform(environment: Mapping[str, str], *options: str) -> Demo:
    ended = subprocess.run(
        ["tickspan", "demo", "--seconds", "3", "--json", "-", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    return Demo(ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr)


def _promises(report: Mapping[str, Any]) -> dict[str, Any]:
    """What must be so, whatever the numbers are."""
    return {
        "orders": report["orders"] > 0,
        "filled": report["orders_filled"] == report["orders"],
        "one trace each": report["orders_with_one_trace"] == report["orders"],
        "a trace per tick": report["order_traces"] == report["triggering_ticks"] > 0,
        "executions": report["executions"] == 2 * report["orders"],
        "in their trace": report["executions_in_their_orders_trace"] == report["executions"],
        "delivered": report["delivered"] == report["ended"] == report["spans"] > 0,
        "dropped": report["dropped"],
        "secrets found": report["secrets_found"],
    }


_KEPT = {
    "orders": True,
    "filled": True,
    "one trace each": True,
    "a trace per tick": True,
    "executions": True,
    "in their trace": True,
    "delivered": True,
    "dropped": 0,
    "secrets found": 0,
}


@pytest.fixture(scope="module")
def demo(clean_environment: Mapping[str, str]) -> Demo:
    """No redis-server on PATH, and the way to anywhere but this machine leads over a proxy."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return _perform({**clean_environment, **proxies, "PATH": str(Path(sys.executable).parent)})


def test_every_promise_is_kept(demo: Demo):
    assert demo.status == 0, demo.shown
    assert _promises(demo.report) == _KEPT


def test_without_a_redis_server_an_embedded_one_is_used(demo: Demo):
    assert "Redis: embedded, pure Python\n" in demo.shown


def test_operations_of_all_three_libraries_are_told_without_errors(demo: Demo):
    operations = {row["name"]: row for row in demo.report["operations"]}
    names = {"trading.order.submit binance", "INSERT bot_orders", "COMMIT", "GET", "MULTI"}
    assert names - operations.keys() == set()
    assert [name for name, row in operations.items() if row["errors"]] == []
    assert operations["INSERT bot_orders"]["count"] == demo.report["orders"]
    assert all(0 < row["p50_s"] <= row["p99_s"] for row in operations.values())


def test_every_stage_from_tick_to_fill_is_measured_for_every_order(demo: Demo):
    stages = demo.report["stages"]
    assert {name: stage["count"] for name, stage in stages.items()} == dict.fromkeys(
        ("tick→decision", "decision→wire", "wire→ack", "ack→fill", "tick→fill"), demo.report["orders"]
    )
    assert all(0 < stage["p50_s"] <= stage["p99_s"] < 5 for stage in stages.values())


def test_every_fault_that_was_planted_is_told_as_often(demo: Demo):
    assert len(demo.report["signals"]) == len(Signal)
    assert [one for one in demo.report["signals"] if not one["told"] >= one["planted"] > 0] == []
    assert f"{len(Signal)} of {len(Signal)} planted faults told" in demo.shown


def test_people_see_progress_a_waterfall_tables_and_a_verdict(demo: Demo):
    assert re.search(r"\d+ s  \d+ orders and \d+ executions at the venue, \d+ spans received", demo.shown)
    parts = (
        "The slowest order",
        "Operations",
        "From tick to fill",
        "What costs money and no exception tells",
        "spans ended",
        "all is well",
    )
    places = [demo.shown.index(part) for part in parts]
    assert places == sorted(places)
    assert "Traceback" not in demo.shown


@pytest.mark.backends
def test_postgresql_and_redis_by_url_keep_every_promise(
    clean_environment: Mapping[str, str], postgresql_server: str, redis_server: str
):
    database = postgresql_server.replace("postgresql://", "postgresql+asyncpg://")
    done = _perform(clean_environment, "--database", database, "--redis", redis_server)
    assert done.status == 0, done.shown
    assert _promises(done.report) == _KEPT
    assert "Redis: the one you named\n" in done.shown


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seconds", "0"], r"argument --seconds: expected 1 to 600 seconds, got '0'; see .*"),
        (["--redis", "localhost:6379"], r"--redis: Redis URL must specify one of .*"),
        (["--redis", "redis://127.0.0.1:1/0"], r"--redis: cannot use it: .*127\.0\.0\.1:1.*"),
        (["--database", "nonsense"], r"--database: Could not parse SQLAlchemy URL .*; such as sqlite.*"),
        (["--database", "duckling://x"], r"--database: Can't load plugin: .*duckling; such as sqlite.*"),
        (["--database", "mysql+asyncmy://me@x/y"], r"--database: needs its driver: pip install asyncmy"),
        (["--database", "sqlite:///x.db"], r"--database: The asyncio extension requires an async .*"),
        (
            ["--database", "sqlite+aiosqlite:////gone/x.db"],
            r"--database: cannot connect: unable to open database file",
        ),
        (
            ["--database", "postgresql+asyncpg://me:hidden@127.0.0.1:1/x"],
            r"--database: cannot connect: .*127\.0\.0\.1.*",
        ),
        (
            ["--json", "gone/report.json"],
            r"--json: cannot write 'gone/report.json': No such file or directory",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(run: Run, options: list[str], told: str):
    ended = run("tickspan", "demo", *options)
    lines = [line for line in ended.stderr.splitlines() if line]
    assert (ended.returncode, len(lines), "hidden" in ended.stderr) == (2, 1, False), ended.stderr
    assert re.fullmatch(f"tickspan demo: {told}", lines[0])


def test_a_busy_port_is_one_line_and_status_2(run: Run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("tickspan", "demo", "--port", str(port))
    told = f"tickspan demo: --port: cannot listen on 127.0.0.1 port {port}: Address already in use; "
    assert (ended.returncode, ended.stderr) == (2, f"{told}choose another port, or 0 for any\n")


@pytest.mark.backends
def test_a_database_that_is_not_on_the_server_is_one_line_and_status_2(run: Run, postgresql_server: str):
    url = postgresql_server.replace("postgresql://", "postgresql+asyncpg://")
    ended = run("tickspan", "demo", "--database", f"{url.rpartition('/')[0]}/nowhere")
    told = 'tickspan demo: --database: cannot connect: database "nowhere" does not exist\n'
    assert (ended.returncode, ended.stderr) == (2, told)


def test_without_the_extra_the_missing_part_is_named(run: Run, tmp_path: Path):
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise ImportError('gone', name='rich')\n")
    ended = run("tickspan", "demo", PYTHONPATH=str(tmp_path))
    told = "tickspan demo: needs more than is installed (rich): pip install 'tickspan[demo]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)
