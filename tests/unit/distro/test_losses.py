"""A loss is one line on stderr, in the process that lost; an outage alone is none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

_PROGRAM = """
import tickspan
tickspan.init(service_name="bot")
from opentelemetry import trace
tracer = trace.get_tracer("program")
tracer.start_span("order").end()
from tickspan.distro import process_pipeline
spool = process_pipeline().spool
{}
spool._keeper.look()
"""


@pytest.mark.integration
def test_a_loss_is_told_on_stderr(run_python: Run) -> None:
    lost = "from tickspan_spool.reasons import Reason; spool.drop('traces', Reason.INVALID, 3)"
    ended = run_python(_PROGRAM.format(lost))
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "tickspan: telemetry was lost, in all so far: 3 invalid\n"


@pytest.mark.integration
def test_where_nothing_is_lost_nothing_is_said(run_python: Run) -> None:
    ended = run_python(_PROGRAM.format(""), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
