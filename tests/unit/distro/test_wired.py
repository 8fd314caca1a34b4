"""Providers by OpenTelemetry's own variables, without any launcher, and by its declarative file."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]

_WIRED = {
    "OTEL_PYTHON_TRACER_PROVIDER": "tickspan",
    "OTEL_PYTHON_METER_PROVIDER": "tickspan",
    "OTEL_PYTHON_LOGGER_PROVIDER": "tickspan",
}
_GETTERS = {
    "tracer": "opentelemetry.trace.get_tracer_provider",
    "meter": "opentelemetry.metrics.get_meter_provider",
    "logger": "opentelemetry._logs.get_logger_provider",
}
_IMPORTS = "import opentelemetry.trace, opentelemetry.metrics, opentelemetry._logs\n"
_ALL_SIGNALS = (
    f"{_IMPORTS}"
    "with opentelemetry.trace.get_tracer('program').start_as_current_span('work'): pass\n"
    "opentelemetry.metrics.get_meter('program').create_counter('ticks').add(3)\n"
    "opentelemetry._logs.get_logger('program').emit("
    "opentelemetry._logs.LogRecord(body='hello', timestamp=1))\n"
)


def _told(server: OtlpServer) -> tuple[list[str], list[str], list[object]]:
    metrics = [metric.name for metric in server.metrics() if metric.scope == "program"]
    return [span.name for span in server.spans()], metrics, [log.body for log in server.logs()]


@pytest.mark.parametrize("first", ["tracer", "meter", "logger"])
def test_whichever_provider_is_asked_for_first_all_three_are_ours(run_python: Run, first: str):
    others = ", ".join(f"type({getter}()).__module__" for getter in _GETTERS.values())
    ended = run_python(f"{_IMPORTS}{_GETTERS[first]}()\nprint({others})", **_WIRED)
    assert (ended.stdout, ended.stderr) == (
        "tickspan.providers.tracer tickspan.providers.meter tickspan.providers.logger\n",
        "",
    )


def test_wired_providers_export_all_signals(run_python: Run):
    with OtlpServer() as server:
        ended = run_python(_ALL_SIGNALS, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint, **_WIRED)
        told = _told(server)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert told == (["work"], ["ticks"], ["hello"])


def test_a_wired_provider_that_cannot_export_never_fails_the_program(run_python: Run):
    ended = run_python(f"{_ALL_SIGNALS}print('done')", OTEL_TRACES_EXPORTER="bogus", **_WIRED)
    assert ended.stdout == "done\n"
    assert ended.stderr == (
        "tickspan: nothing is exported: RuntimeError: Requested component 'bogus' not found"
        " in entry point 'opentelemetry_traces_exporter'\n"
    )


def test_init_after_a_wired_provider_uses_it(run_python: Run):
    ended = run_python(
        "from opentelemetry import trace; wired = trace.get_tracer_provider()\n"
        "import tickspan; tickspan.init(); print(trace.get_tracer_provider() is wired)",
        **_WIRED,
    )
    assert (ended.stdout, ended.stderr) == ("True\n", "")


_FILE = """
file_format: "1.0"
resource:
  attributes:
    - {{name: team, value: desk}}
{extra}
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}
meter_provider:
  readers:
    - periodic: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/metrics"}}}}}}
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/logs"}}}}}}
distribution:
  tickspan:
    service_name: ${{NAME:-declared}}
"""


def _declared(tmp_path: Path, endpoint: str, extra: str = "") -> dict[str, str]:
    file = tmp_path / "otel.yaml"
    file.write_text(_FILE.format(endpoint=endpoint, extra=extra))
    return {"OTEL_CONFIG_FILE": str(file)}


def test_a_declarative_file_gives_our_providers_its_exporters(run_python: Run, tmp_path: Path):
    with OtlpServer() as server:
        ended = run_python(
            f"import tickspan; tickspan.init()\n{_ALL_SIGNALS}"
            "print(type(opentelemetry.trace.get_tracer_provider()).__module__)",
            **_declared(tmp_path, server.endpoint),
        )
        told, resource = _told(server), server.spans()[0].resource
    assert (ended.stdout, ended.stderr) == ("tickspan.providers.tracer\n", "")
    assert told == (["work"], ["ticks"], ["hello"])
    assert {name: resource[name] for name in ("team", "service.name", "telemetry.distro.name")} == {
        "team": "desk",
        "service.name": "declared",
        "telemetry.distro.name": "tickspan",
    }


def test_a_declarative_file_that_is_disabled_records_nothing(run_python: Run, tmp_path: Path):
    with OtlpServer() as server:
        ended = run_python(
            f"import tickspan; tickspan.init()\n{_ALL_SIGNALS}print('done')",
            **_declared(tmp_path, server.endpoint, "disabled: true"),
        )
        told = _told(server)
    assert (ended.stdout, ended.stderr, told) == ("done\n", "", ([], [], []))


def test_a_declarative_file_that_is_not_there_never_stops_a_launched_program(run: Run):
    ended = run("tickspan", "run", "python", "-c", "print('done')", OTEL_CONFIG_FILE="gone.yaml")
    assert ended.stdout == "done\n"
    told, _, last = ended.stderr.splitlines()  # the line between is upstream's own
    assert told.startswith("tickspan: gone.yaml distribution.tickspan: (file): cannot be read: ")
    assert last == "tickspan: not started: ConfigurationError: Configuration file not found: gone.yaml"


@pytest.mark.parametrize("variables", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_what_the_standard_switches_off_is_off_without_a_word(run_python: Run, variables: dict[str, str]):
    with OtlpServer() as server:
        ended = run_python(
            f"import tickspan; tickspan.init()\n{_ALL_SIGNALS}",
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            **variables,
        )
        spans = server.spans()
    assert (ended.returncode, ended.stdout, ended.stderr, spans) == (0, "", "", [])
