"""Requests that come in: OpenTelemetry's own instrumentors of web frameworks, unchanged, on our providers.

They are no dependencies of ours: `scripts/generations.py run --only inbound` lays them over the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tickspan.received import ReceivedMetric, ReceivedSpan
from tickspan.testing.otlp import OtlpServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("flask") is None or find_spec("fastapi") is None,
        reason="Flask and FastAPI: scripts/generations.py run --only inbound",
    ),
]

_HANDLERS = """
from opentelemetry import trace

def quote(symbol):
    with trace.get_tracer("desk").start_as_current_span("look up"):
        if symbol == "none":
            raise LookupError(symbol)
        return {"symbol": symbol}
"""
_FLASK = """
from flask import Flask
app = Flask("desk")
app.get("/quotes/<symbol>")(quote)
client = app.test_client()
for symbol in ("btc", "eth", "none"):
    print(client.get(f"/quotes/{symbol}").status_code)
"""
_FASTAPI = """
import asyncio, httpx
from fastapi import FastAPI
app = FastAPI()
app.get("/quotes/{symbol}")(quote)

async def main():
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        for symbol in ("btc", "eth", "none"):
            print((await client.get(f"/quotes/{symbol}")).status_code)

asyncio.run(main())
"""
_WSGI = """
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from werkzeug.test import Client

def answer(environ, start_response):
    try:
        quote(environ["PATH_INFO"].rpartition("/")[2])
    except LookupError:
        start_response("500 Internal Server Error", [])
        return [b""]
    start_response("200 OK", [])
    return [b""]

client = Client(OpenTelemetryMiddleware(answer))
for symbol in ("btc", "eth", "none"):
    print(client.get(f"/quotes/{symbol}").status_code)
"""
_ASGI = """
import asyncio, httpx
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

async def answer(scope, receive, send):
    try:
        quote(scope["path"].rpartition("/")[2])
        status = 200
    except LookupError:
        status = 500
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def main():
    transport = httpx.ASGITransport(app=OpenTelemetryMiddleware(answer))
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        for symbol in ("btc", "eth", "none"):
            print((await client.get(f"/quotes/{symbol}")).status_code)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "framework", [_FLASK, _FASTAPI, _WSGI, _ASGI], ids=["flask", "fastapi", "wsgi", "asgi"]
)
def test_requests_are_server_spans_with_their_work_below_and_are_timed(
    framework: str, tmp_path: Path
) -> None:
    (tmp_path / "desk.py").write_text(_HANDLERS + framework)
    with OtlpServer() as server:
        done = run(tmp_path / "desk.py", server.endpoint, tmp_path)
        server.wait_for(
            lambda told: len(requests_in(told.spans())) == 3 and bool(durations_in(told.metrics()))
        )
        spans, metrics = server.spans(), server.metrics()
    assert (done.stdout.split(), done.returncode) == (["200", "200", "500"], 0), done.stderr
    requests = requests_in(spans)
    assert [span.attributes["http.response.status_code"] for span in requests] == [200, 200, 500]
    parents = {span.trace_id: span.parent_span_id for span in spans if span.name == "look up"}
    assert parents == {span.trace_id: span.span_id for span in requests}
    duration = durations_in(metrics)[-1]
    assert (duration.unit, sum(point.count or 0 for point in duration.points)) == ("s", 3)
    failed = {
        point.attributes["http.response.status_code"]: point.attributes.get("error.type")
        for point in duration.points
    }
    assert failed.keys() == {200, 500}
    assert failed[200] is None
    active = [metric for metric in metrics if metric.name == "http.server.active_requests"]
    assert {point.value for metric in active[-1:] for point in metric.points} == {0}


def requests_in(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    served = [
        span
        for span in spans
        if "http.response.status_code" in span.attributes and span.kind.name == "SERVER"
    ]
    return sorted(served, key=lambda span: span.start_ns)


def durations_in(metrics: list[ReceivedMetric]) -> list[ReceivedMetric]:
    return [metric for metric in metrics if metric.name == "http.server.request.duration"]


def run(program: Path, endpoint: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    return subprocess.run(
        [sys.executable, "-m", "tickspan", "run", "--", sys.executable, str(program)],
        env={
            **kept,
            "OTEL_SERVICE_NAME": "desk",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "TICKSPAN_SPOOL_DIR": str(folder / "spool"),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
