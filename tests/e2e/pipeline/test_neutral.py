"""Telemetry changes nothing: draws, results, output, and what belongs to the application."""

import sys
from pathlib import Path

import pytest
from pipeline_stage import Audit, Stage

pytestmark = pytest.mark.e2e

BACKTEST = (sys.executable, str(Path(__file__).parents[3] / "examples" / "backtest.py"), "--bars", "3000")
LAUNCHERS = {
    "tickspan run": ("tickspan", "run", "--"),
    "opentelemetry-instrument": ("opentelemetry-instrument",),
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_seeded_back_test_is_the_same_to_the_last_bit_while_telemetry_is_exported(
    stage: Stage, launcher: str
):
    without = stage.run_command(*BACKTEST)
    with_telemetry = stage.run_command(
        *LAUNCHERS[launcher], *BACKTEST, OTEL_PYTHON_DISTRO="tickspan", OTEL_PYTHON_CONFIGURATOR="tickspan"
    )
    assert (without.returncode, without.stderr) == (0, "")
    assert (with_telemetry.returncode, with_telemetry.stdout, with_telemetry.stderr) == (
        0,
        without.stdout,
        "",
    )
    fills = int(without.stdout.split()[2])
    stage.collector.wait_for(lambda received: _bars(received.spans()) >= fills > 100)
    stage.end_agent()
    names = {span.name for span in stage.collector.spans()}
    assert {"trading.order.submit paper", "INSERT fills", "SELECT fills"} <= names


def _bars(spans: object) -> int:
    return sum(span.name == "bar" for span in spans)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType, reportAttributeAccessIssue]


def test_nothing_that_belongs_to_the_application_is_touched(stage: Stage):
    ended = stage.run("awkward", "compares_its_surroundings")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [fact["names"] for fact in stage.notes("changed")] == [[]]
    assert stage.audit() == Audit(spans=100, logs=100)
