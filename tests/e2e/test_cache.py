"""A program's cache as a collector sees it: counts, times, the span of the load, the tally of the trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tickspan.semconv import cache as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parent / "programs" / "cache.py"


def _requests(server: OtlpServer) -> dict[str, float | None]:
    return {
        str(point.attributes[names.CACHE_RESULT]): point.value
        for metric in server.metrics()
        for point in metric.points
        if metric.name == names.CACHE_REQUESTS
    }


def test_what_a_program_asks_its_cache_arrives_decoded(run: Callable[..., Any]) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_SERVICE_NAME="bot",
            TICKSPAN_CACHE_NAMESPACE="desk",
        )
        server.wait_for(lambda server: "hit" in _requests(server), timeout_s=20)
        server.wait_for(lambda server: len(server.spans()) > 1, timeout_s=20)
        spans = {span.name: span for span in server.spans()}
        requests = _requests(server)
        loads = [
            (dict(point.attributes), point.count)
            for metric in server.metrics()
            for point in metric.points
            if metric.name == names.CACHE_LOAD_DURATION
        ]
    root, load = spans["decide"], spans["cache load default"]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (requests, loads) == (
        {"hit": 3, "miss": 1},
        [({names.CACHE_NAME: "default", names.CACHE_LOAD_TRIGGER: "miss"}, 1)],
    )
    assert {
        key: root.attributes[key] for key in (names.CACHE_HITS, names.CACHE_MISSES, names.CACHE_STALE)
    } == {
        names.CACHE_HITS: 3,
        names.CACHE_MISSES: 1,
        names.CACHE_STALE: 0,
    }
    assert (load.parent_span_id, load.trace_id) == (root.span_id, root.trace_id)
    assert dict(load.attributes) == {names.CACHE_NAME: "default", names.CACHE_LOAD_TRIGGER: "miss"}
