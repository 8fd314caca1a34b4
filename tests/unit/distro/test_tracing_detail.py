"""`tracing.detail`: what becomes a span, and what statements tell, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.integration

_PROGRAM = """
import json, sqlalchemy as sa, tickspan
from opentelemetry import trace
from tickspan.distro import process_pipeline
from tickspan.semconv.code import CODE_LINE_NUMBER
from tickspan.semconv.trading import SPAN_FEED_MESSAGE
from tickspan.trading import TickRef

tickspan.init()
ended = []
process_pipeline().tracer_provider.watch_spans(lambda span, _: None, lambda span: ended.append(span))
TickRef("house", 1_000).delivered_ns = 2_000
engine = sa.create_engine("sqlite://")
with engine.connect() as connection:
    for _ in range(3):
        connection.execute(sa.text("SELECT 1"))
engine.dispose()
ticks = [span for span in ended if span.name == SPAN_FEED_MESSAGE]
lines = [CODE_LINE_NUMBER in span.attributes for span in ended if span.name.startswith("SELECT")]
print(json.dumps([len(ticks), sum(lines)]))
"""


@pytest.mark.parametrize(("detail", "expected"), [("orders", [0, 1]), ("full", [1, 3])])
def test_full_detail_tells_each_tick_and_the_line_of_each_statement(
    run_python: Run, detail: str, expected: list[int]
) -> None:
    ended = run_python(_PROGRAM, TICKSPAN_TRACING_DETAIL=detail, TICKSPAN_AGENT="off")
    assert ended.stderr == ""
    assert json.loads(ended.stdout) == expected
