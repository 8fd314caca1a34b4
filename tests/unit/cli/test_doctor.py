"""`tickspan doctor`: what it finds, how it says it, and what its exit status means."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.receiver import Response

from tickspan.cli.examination import (
    Finding,
    distro_finding,
    examine,
    instrumentor_finding,
    query_findings,
    settings_table,
)
from tickspan.cli.round_trip import Answer, endpoint_of, round_trip
from tickspan.config import read_settings
from tickspan.testing.otlp import OtlpServer

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]

_SIGNALS = ("traces", "metrics", "logs")
_ADVICE = "set OTEL_PYTHON_DISTRO=tickspan OTEL_PYTHON_CONFIGURATOR=tickspan, or use 'tickspan run'"
_NOBODY = "http://127.0.0.1:9/v1/traces"
_PARTIAL_SUCCESS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 8\r\n\r\n"
    b"\x0a\x06\x08\x01\x12\x02no"
)
_QUICKLY = {
    # their libraries take seconds to import
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(
        f"tickspan_{name}" for name in ("alpaca", "binance", "ccxt", "fix", "http", "ib", "nautilus")
    )
}
_OFF = "not exported: set OTEL_EXPORTER_OTLP_ENDPOINT to send it to a collector"


@dataclass(frozen=True)
class _EntryPoint:
    """Stands for `importlib.metadata.EntryPoint`."""

    make: Callable[[], Any]
    name: str = "flask"

    def load(self) -> Callable[[], Any]:
        return self.make


class _Flask:
    """An instrumentor whose library is what each test says."""

    def __init__(self, *dependencies: str) -> None:
        self._dependencies = dependencies

    def instrumentation_dependencies(self) -> tuple[str, ...]:
        return self._dependencies


def _missing() -> Any:
    raise ModuleNotFoundError("No module named 'flask'")


def _broken() -> Any:
    raise ZeroDivisionError("at https://user:pass@host/x?key=4711")


@contextmanager
def _web_server(answer: bytes) -> Generator[str]:
    """Answers one connection with `answer`, whatever it is asked; yields a base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                _read_to_the_end(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def _read_to_the_end(connection: socket.socket) -> None:
    """Closing with bytes unread would reset the connection, and the answer could be lost."""
    while connection.recv(65_536):
        pass


def _exported(environ: Mapping[str, str]) -> list[Finding]:
    reading = read_settings(environ={}, directory=Path("/nowhere"))
    found = examine(reading, environ, timeout_s=5)
    return [finding for finding in found if finding.subject.startswith("OTLP")]


@pytest.mark.parametrize(
    ("distros", "chosen", "is_well", "detail"),
    [
        (["tickspan"], None, True, "opentelemetry-instrument would use 'tickspan'"),
        (["other", "tickspan"], "tickspan", True, "opentelemetry-instrument would use 'tickspan'"),
        (["other", "tickspan"], "other", False, "opentelemetry-instrument would use 'other'"),
        (
            ["other", "tickspan"],
            None,
            False,
            f"several are installed (other, tickspan): {_ADVICE}",
        ),
    ],
)
def test_the_distribution_that_would_win_is_named(
    distros: list[str], chosen: str | None, is_well: bool, detail: str
):
    assert distro_finding(distros, chosen) == Finding("distro", is_well, detail)


@pytest.mark.parametrize(
    ("make", "is_well", "detail"),
    [
        (lambda: _Flask("pytest >= 1"), True, f"on: pytest {pytest.__version__}"),
        (
            lambda: _Flask("pytest >= 999"),
            None,
            f"off: needs pytest >= 999, found pytest {pytest.__version__}",
        ),
        (
            lambda: _Flask("flask-of-nobody >= 1"),
            None,
            "off: needs flask-of-nobody >= 1, found not installed",
        ),
        (_missing, None, "off: No module named 'flask'"),
        (_broken, False, "off: ZeroDivisionError while it was loaded: at https://host/x"),
    ],
)
def test_an_instrumentor_is_on_with_its_librarys_version_or_off_with_a_reason(
    make: Callable[[], Any], is_well: bool | None, detail: str
):
    entry: Any = _EntryPoint(make)
    assert instrumentor_finding(entry, None) == Finding("instrumentor flask", is_well, detail)


def test_an_instrumentor_that_the_distribution_keeps_off_is_not_even_loaded():
    entry: Any = _EntryPoint(_broken)
    assert instrumentor_finding(entry, "because") == Finding("instrumentor flask", None, "off: because")


def test_settings_are_listed_with_value_origin_and_meaning_and_secrets_are_masked(tmp_path: Path):
    environ = {"TICKSPAN_TRADING_SALT": "hidden", "TICKSPAN_SERVICE_NAME": "bot"}
    rows = {row["key"]: row for row in settings_table(read_settings(environ=environ, directory=tmp_path))}
    assert rows["service_name"] == {
        "key": "service_name",
        "value": "bot",
        "origin": "environment (TICKSPAN_SERVICE_NAME)",
        "variable": "TICKSPAN_SERVICE_NAME",
        "meaning": "service.name of the resource; OTEL_SERVICE_NAME is stronger",
    }
    assert (rows["trading.salt"]["value"], rows["debug"]["value"]) == ("***", False)
    assert "hidden" not in str(rows)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://localhost:4318/v1/logs"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, "http://c:1/v1/logs"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://d:2/in",
            },
            "http://d:2/in",
        ),
    ],
)
def test_a_signal_goes_where_the_standard_says(environ: dict[str, str], url: str):
    assert endpoint_of("logs", environ) == url


def test_without_an_endpoint_nothing_is_sent_and_nothing_is_ill():
    assert _exported({}) == [Finding(f"OTLP {signal}", None, _OFF) for signal in _SIGNALS]


@pytest.mark.parametrize(
    ("environ", "detail"),
    [
        ({"OTEL_SDK_DISABLED": "True"}, "not exported: OTEL_SDK_DISABLED is true"),
        ({"OTEL_CONFIG_FILE": "otel.yaml"}, "exporters are those of OTEL_CONFIG_FILE: not tested"),
        ({"OTEL_TRACES_EXPORTER": "none"}, _OFF),
        (
            {"OTEL_TRACES_EXPORTER": "console"},
            f"not exported over OTLP but to console:{_OFF.partition(':')[2]}",
        ),
    ],
)
def test_what_is_not_tested_is_said_with_its_reason(environ: dict[str, str], detail: str):
    assert _exported(environ)[0] == Finding("OTLP traces", None, detail)


@pytest.mark.integration
def test_one_record_of_each_signal_really_arrives_with_the_configured_headers():
    credentials: list[str | None] = []
    with OtlpServer(answer=lambda batch: credentials.append(batch.headers.get("authorization"))) as server:
        base = server.endpoint
        findings = _exported(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": base,
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x",
            }
        )
    told = [span.name for span in server.spans()], [metric.name for metric in server.metrics()]
    assert [(item.subject, item.is_well, item.detail.partition(" in ")[0]) for item in findings] == [
        (f"OTLP {signal}", True, f"{base}/v1/{signal} answered 200") for signal in _SIGNALS
    ]
    assert (*told, [log.body for log in server.logs()]) == (
        ["tickspan doctor"],
        ["tickspan.doctor"],
        ["round trip"],
    )
    assert credentials == ["Bearer x"] * 3


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "the collector wants credentials: set OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "nothing answers at this path: is the endpoint the base URL, without /v1/traces?"),
        (503, "the collector is not ready; records are retried"),
        (500, "the standard allows no retry for this: records would be dropped"),
    ],
)
def test_a_refusal_is_explained(status: int, meaning: str):
    with OtlpServer(answer=lambda _: Response(status)) as server:
        base = server.endpoint
        answer = round_trip("traces", {"OTEL_EXPORTER_OTLP_ENDPOINT": base}, 5)
    assert answer == Answer(is_delivered=False, explanation=f"{base}/v1/traces answered {status}: {meaning}")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("reply", "explanation"),
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
            " answered 200 with text/html, not OTLP: is this a web server?",
        ),
        (
            _PARTIAL_SUCCESS,
            " answered 200 but did not take it: no",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            " answered 302: OTLP follows no redirect: give the address that it leads to",
        ),
        (b"\x00\x00\x12\x04nonsense", ": what answers there does not speak HTTP: is it a gRPC port (4317)?"),
    ],
)
def test_an_answer_that_is_none_is_explained(reply: bytes, explanation: str):
    with _web_server(reply) as base:
        answer = round_trip("traces", {"OTEL_EXPORTER_OTLP_ENDPOINT": base}, 5)
    assert answer == Answer(is_delivered=False, explanation=f"{base}/v1/traces{explanation}")


@pytest.mark.integration
def test_nobody_at_the_endpoint_is_explained_and_its_credentials_are_not_shown():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces?key=4711"}
    assert round_trip("traces", environ, 5) == Answer(
        is_delivered=False,
        explanation=f"http://127.0.0.1:{port}/v1/traces: connection refused: is a collector running there?",
    )


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1:9/x", "nonsense", "http://[", "ftp:///"])
def test_an_endpoint_that_is_none_is_an_answer_without_its_secrets(url: str):
    answer = round_trip("traces", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url}, 5)
    assert (answer.is_delivered, "secret" in answer.explanation) == (False, False)


@pytest.mark.integration
def test_the_report_is_text_with_one_line_per_finding(run: Run):
    ended = run("tickspan", "doctor", "--settings", TICKSPAN_SERVICE_NAME="bot")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert "info  settings: service_name from environment (TICKSPAN_SERVICE_NAME), " in ended.stdout
    assert "ok    distro: opentelemetry-instrument would use 'tickspan'" in lines
    assert "info  instrumentor redis: off: 'tickspan_redis' runs for this library" in lines
    assert f"info  OTLP traces: {_OFF}" in lines
    assert (
        "      service_name = 'bot'  [environment (TICKSPAN_SERVICE_NAME); TICKSPAN_SERVICE_NAME]"
        "  service.name of the resource; OTEL_SERVICE_NAME is stronger"
    ) in lines


@pytest.mark.integration
def test_the_report_is_data_too(run: Run):
    ended = run("tickspan", "doctor", "--json", **_QUICKLY)
    report = json.loads(ended.stdout)
    assert (ended.returncode, sorted(report)) == (0, ["findings", "settings"])
    assert {"subject": "OTLP logs", "is_well": None, "detail": _OFF} in report["findings"]
    assert {row["key"]: row["value"] for row in report["settings"]}["trading.quantities"] == "off"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"TICKSPAN_DEBUG": "maybe"},
            "settings: TICKSPAN_DEBUG: debug: expected true or false, got 'maybe'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": _NOBODY},
            f"OTLP traces: {_NOBODY}: connection refused: is a collector running there?",
        ),
        ({"OTEL_PYTHON_DISTRO": "other"}, "distro: opentelemetry-instrument would use 'other'"),
    ],
)
def test_a_finding_that_fails_is_exit_status_1(run: Run, variables: dict[str, str], line: str):
    ended = run("tickspan", "doctor", **_QUICKLY, **variables)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [told for told in ended.stdout.splitlines() if told.startswith("FAIL")] == [f"FAIL  {line}"]


@pytest.mark.integration
def test_opentelemetry_that_cannot_be_imported_is_one_line(run: Run):
    ended = run("tickspan", "doctor", OTEL_PROPAGATORS="pigeon")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("tickspan doctor: OpenTelemetry cannot be imported: Propagator pigeon not")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, []),
        ({"queries": {"mode": "off"}, "agent": "off"}, []),
        (
            {"queries": {"mode": "thread"}},
            ["a thread of the program looks: rules that need a parser are not asked"],
        ),
        (
            {"agent": "thread"},
            ["agent=thread: nobody looks; queries.mode=thread asks the rules that need no parser"],
        ),
    ],
)
def test_who_looks_at_queries_is_told_where_it_is_not_the_agent(given: dict[str, Any], said: list[str]):
    settings = read_settings(given, environ={}).settings
    assert [finding.detail for finding in query_findings(settings)] == said
