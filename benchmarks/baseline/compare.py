"""The same bot under stock OpenTelemetry and under tickspan, one after the other, in one table.

    python benchmarks/baseline/compare.py [--seconds N] [--json FILE]

Both sides run the same file against the same venue with the same seed, and export OTLP/HTTP to the same kind
of server in this process; what came is decoded and held against what the venue knows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import measure  # noqa: E402 - stands beside this file
import stock  # noqa: E402 - the same

from scripts import backends, servers  # noqa: E402 - found through the line above
from tickspan.testing.otlp import OtlpServer  # noqa: E402 - the same
from tickspan.testing.venue import Behaviour, VenueSimulator  # noqa: E402 - the same

BOT = ROOT / "src" / "tickspan" / "demo" / "bot.py"
SEED = 7
BEHAVIOUR = Behaviour(symbols=("BTC/USDT", "ETH/USDT"), partials=(0.4, 0.6))
AMOUNTS = {"BTC/USDT": 0.01, "ETH/USDT": 0.1}
PATIENCE_S = 90.0

ROWS: Sequence[tuple[str, str]] = (
    ("spans", "spans"),
    ("traces", "traces"),
    ("orders at venue", "orders_at_venue"),
    ("  submissions told", "submissions"),
    ("  found by client id", "orders_found"),
    ("  joined with tick and fills", "orders_joined"),
    ("executions at venue", "executions_at_venue"),
    ("  in their order's trace", "executions_joined"),
    ("secrets sent to venue", "secrets_sent"),
    ("  found in telemetry", "secrets_found"),
    ("SQL statements", "statements"),
    ("  with literals", "statements_with_literals"),
    ("Redis calls", "redis_calls"),
    ("lines on stderr", "errors_on_stderr"),
)


class BenchError(Exception):
    """The comparison cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to run the bot."""

    name: str
    words: tuple[str, ...]
    settings: Mapping[str, str]
    versions: Mapping[str, str]


def main() -> int:
    """Compare, print, and write the same as data if asked to."""
    parser = argparse.ArgumentParser(description="The same bot, stock and ours.", allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long the bot trades on each side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as data too; - is stdout")
    options = parser.parse_args()
    try:
        sides = [stock_side(), our_side()]
        outcomes = [measure.measure(run(side, options.seconds)) for side in sides]
    except (BenchError, subprocess.CalledProcessError, servers.ServerError) as error:
        print(f"bench-baseline: {error}", file=sys.stderr)
        return 2
    data = as_data(sides, outcomes)
    if str(options.json) == "-":
        print(json.dumps(data, indent=2))
        return 0
    print(table(sides, outcomes))
    if options.json is not None:
        options.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0


def stock_side() -> Side:
    """Upstream's distribution, launcher, instrumentors and exporter, with their defaults."""
    programs = stock.environment()
    # The distribution's default is gRPC, which is another exporter.
    settings = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "PATH": _path(programs)}
    words = (str(programs / "opentelemetry-instrument"), str(programs / "python"))
    return Side("stock OpenTelemetry", words, settings, stock.versions(programs))


def our_side() -> Side:
    """`tickspan run` of this environment."""
    programs = Path(sys.executable).parent
    words = (str(programs / "tickspan"), "run", "--", str(programs / "python"))
    return Side("tickspan", words, {"PATH": _path(programs)}, stock.versions(programs, "tickspan"))


def run(side: Side, seconds: float) -> measure.Evidence:
    """Let the bot trade on one side; everything it exported has come when it has ended."""
    redis = backends.backend("redis-server")
    if not isinstance(redis, backends.Backend):
        raise BenchError(str(redis))
    with (
        tempfile.TemporaryDirectory(prefix="tickspan-baseline-") as name,
        servers.redis_server(redis.executable) as cache,
        VenueSimulator(seed=SEED, behaviour=BEHAVIOUR) as venue,
        OtlpServer() as server,
    ):
        folder = Path(name)
        config = {
            "exchange": venue.connect.ccxt_config(),
            "database": f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}",
            "redis": cache.url,
            "symbols": list(AMOUNTS),
            "amounts": AMOUNTS,
            "seconds": seconds,
        }
        stderr = _trade(side, config, folder, server.endpoint, seconds)
        credentials = (venue.connect.api_key, venue.connect.secret)
        return measure.Evidence(venue.truth(), server.spans(), server.bodies(), credentials, stderr)


def _trade(side: Side, config: Mapping[str, Any], folder: Path, endpoint: str, seconds: float) -> str:
    """Run the bot to its end; what it wrote to stderr."""
    shutil.copy(BOT, folder)
    (folder / "bot.json").write_text(json.dumps(config), encoding="utf-8")
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "bot",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        **side.settings,
    }
    done = subprocess.run(
        [*side.words, "bot.py", "bot.json"],
        cwd=folder,
        env={**_without_telemetry(os.environ), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + PATIENCE_S,
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BenchError(f"the bot under {side.name} ended with status {done.returncode}: {last}")
    return done.stderr


def table(sides: Sequence[Side], outcomes: Sequence[measure.Outcome]) -> str:
    """Rows of the table, the sides beside each other."""
    heads = [f"{'':30}" + "".join(f"{side.name:>24}" for side in sides)]
    rows = [
        f"{label:30}" + "".join(f"{getattr(outcome, name):>24,}" for outcome in outcomes)
        for label, name in ROWS
    ]
    notes = [
        f"{side.name}: " + ", ".join(f"{name} {version}" for name, version in side.versions.items())
        for side in sides
    ]
    return "\n".join([*heads, *rows, "", *notes])


def as_data(sides: Sequence[Side], outcomes: Sequence[measure.Outcome]) -> dict[str, Any]:
    """The table for programs."""
    return {
        side.name: {**asdict(outcome), "versions": dict(side.versions)}
        for side, outcome in zip(sides, outcomes, strict=True)
    }


def _path(programs: Path) -> str:
    return os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])


def _without_telemetry(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the user's, which are meant for neither side."""
    foreign = ("OTEL_", "TICKSPAN_", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in inherited.items() if not name.startswith(foreign)}


if __name__ == "__main__":
    sys.exit(main())
