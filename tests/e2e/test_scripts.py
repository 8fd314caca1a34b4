"""Programs with `tickspan.init()` or under `tickspan run`: what they do stays, what they did is told."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.trace import StatusCode

from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.e2e

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]

_EXAMPLES = Path(__file__).parents[2] / "examples"
_IMPORTS = "import logging, os, sys\nimport redis\nfrom sqlalchemy import create_engine, exc, text\n"
_INIT = "import tickspan; tickspan.init()\n"
_WORK = """
cache = redis.Redis.from_url(os.environ["CACHE"], decode_responses=True)
engine = create_engine("sqlite://")
cache.set("price", "42.5")
print(cache.get("price"), cache.get("nothing"), cache.delete("price"))
with cache.pipeline() as pipeline:
    print(pipeline.incr("fills", 2).delete("fills").execute())
try:
    cache.execute_command("NONSENSE")
except redis.ResponseError as error:
    print(type(error).__name__, error)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY, side TEXT)"))
    connection.execute(text("INSERT INTO orders VALUES (:id, :side)"), [{"id": 1, "side": "buy"}])
    print(connection.execute(text("SELECT id, side FROM orders")).all())
try:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES (1, 'sell')"))
except exc.IntegrityError as error:
    print(error)
logging.warning("the program's own words")
cache.close()
sys.exit(7)
"""


def _names(server: OtlpServer) -> Counter[str]:
    return Counter(span.name for span in server.spans())


@pytest.mark.parametrize(
    "program", [_IMPORTS + _INIT + _WORK, _INIT + _IMPORTS + _WORK], ids=["init last", "init first"]
)
def test_libraries_are_told_whether_imported_before_init_or_after(
    run_python: Run, redis_server: str, program: str
):
    with OtlpServer() as server:
        ended = run_python(program, CACHE=redis_server, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
    assert (ended.returncode, ended.stderr) == (7, "WARNING:root:the program's own words\n")
    assert _names(server) == Counter(
        {
            "SET": 1,
            "GET": 2,
            "DEL": 1,
            "MULTI": 1,
            "OTHER": 1,  # what Redis does not know is no name either
            "CREATE TABLE orders": 1,
            "INSERT orders": 2,
            "SELECT orders": 1,
            "COMMIT": 1,
            "ROLLBACK": 1,
            "PRAGMA read_uncommitted": 1,  # SQLAlchemy asks the driver itself, at its first connection
        }
    )


def test_a_program_ends_and_prints_the_same_with_and_without_telemetry(run: Run, redis_server: str):
    command = (sys.executable, "-c", _IMPORTS + _WORK)
    bare = run(*command, CACHE=redis_server)
    with OtlpServer() as server:
        told = run("tickspan", "run", "--endpoint", server.endpoint, "--", *command, CACHE=redis_server)
    assert (told.returncode, told.stdout, told.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert (bare.returncode, len(server.spans()) > 0) == (7, True)


def test_a_failed_call_is_an_error_on_its_span(run_python: Run, redis_server: str):
    with OtlpServer() as server:
        run_python(_IMPORTS + _INIT + _WORK, CACHE=redis_server, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
    failed = [span for span in server.spans() if span.status.code is StatusCode.ERROR]
    assert sorted((span.name, span.attributes["error.type"]) for span in failed) == [
        ("INSERT orders", "SQLITE_CONSTRAINT_PRIMARYKEY"),
        ("OTHER", "ERR"),
    ]


def test_the_quickstart_tells_a_decision_with_its_checks_and_its_order(run: Run):
    with OtlpServer() as server:
        ended = run(sys.executable, _EXAMPLES / "quickstart.py", OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert first.startswith("0.01 BTC/USDT: ")
    assert second == "0.1 BTC/USDT: rejected by the risk check"
    spans = server.spans()
    assert _names(server) == Counter(
        {
            "rebalance": 1,
            "momentum": 1,
            "trading.risk.check largest amount": 2,
            "trading.order.submit binance": 1,
            "trading.order.lifecycle": 1,
        }
    )
    assert len({span.trace_id for span in spans}) == 1
    outcome = "trading.risk.check.outcome"
    assert [span.attributes[outcome] for span in spans if outcome in span.attributes] == ["pass", "reject"]
    assert {str(span.resource["service.name"]) for span in spans} == {"quickstart"}
