"""`tickspan.init()`, in processes of their own: providers and instrumentors are global."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]

_INSTRUMENTED = (
    "from opentelemetry.instrumentation.redis import RedisInstrumentor as Upstream\n"
    "from tickspan_redis import RedisInstrumentor as Ours\n"
    "print([kind().is_instrumented_by_opentelemetry for kind in (Ours, Upstream)])\n"
)
_ONE_SPAN = (
    "from opentelemetry import trace\nwith trace.get_tracer('program').start_as_current_span('work'): pass\n"
)


def test_the_providers_are_global_and_a_second_call_returns_the_first_ones_settings(run_python: Run):
    ended = run_python(
        "import tickspan\n"
        "settings = tickspan.init({'trading': {'quantities': 'full'}}, service_name='bot')\n"
        "assert tickspan.init() is settings\n"
        "from opentelemetry import _logs, metrics, trace\n"
        "print([type(get()).__module__ for get in "
        "(trace.get_tracer_provider, metrics.get_meter_provider, _logs.get_logger_provider)])\n"
        "print(settings.service_name, settings.trading.quantities)\n"
    )
    assert (ended.stdout, ended.stderr) == (
        "['tickspan.providers.tracer', 'tickspan.providers.meter', 'tickspan.providers.logger']\nbot full\n",
        "",
    )


def test_settings_that_come_after_the_first_call_are_named_in_one_line(run_python: Run):
    ended = run_python(
        "import tickspan; tickspan.init({'debug': False})\n"
        "print(tickspan.init({'trading': {'quantities': 'full', 'max_orders': 5}}).trading.quantities)"
    )
    assert (ended.stdout, ended.stderr) == (
        "off\n",
        "tickspan: init: telemetry is already running; not applied: trading.quantities, trading.max_orders\n",
    )


def test_an_unknown_key_raises_with_the_nearest_and_nothing_is_started(run_python: Run):
    ended = run_python(
        "import tickspan\n"
        "try: tickspan.init({'trading': {'quantites': 'full'}})\n"
        "except tickspan.SettingsError as error: print(error)\n"
        "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__name__)\n"
    )
    assert (ended.stdout, ended.stderr) == (
        "code: trading.quantites: unknown key; did you mean 'trading.quantities'?\nProxyTracerProvider\n",
        "",
    )


def test_a_file_may_be_given(run_python: Run, tmp_path: Path):
    (tmp_path / "mine.toml").write_text('service_name = "mine"\n')
    ended = run_python("import tickspan; print(tickspan.init('mine.toml').service_name)")
    assert (ended.stdout, ended.stderr) == ("mine\n", "")


def test_libraries_are_instrumented_whether_imported_before_or_after(run_python: Run):
    ended = run_python(
        "import redis; before = redis.Redis.execute_command\n"
        "import tickspan; tickspan.init()\n"
        "import sqlalchemy.engine\n"
        "from tickspan_sqlalchemy import SQLAlchemyInstrumentor as Ours\n"
        "print(redis.Redis.execute_command is before, Ours().is_instrumented_by_opentelemetry)\n"
    )
    assert (ended.stdout, ended.stderr) == ("False True\n", "")


@pytest.mark.parametrize(
    ("variables", "ours_and_upstreams"),
    [
        ({}, "[True, False]"),
        ({"TICKSPAN_PREFER_UPSTREAM": "redis"}, "[False, True]"),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis"}, "[False, False]"),
    ],
)
def test_ours_and_upstreams_instrumentor_never_both_run(
    run_python: Run, variables: dict[str, str], ours_and_upstreams: str
):
    ended = run_python(f"import tickspan; tickspan.init()\n{_INSTRUMENTED}", **variables)
    assert (ended.stdout, ended.stderr) == (f"{ours_and_upstreams}\n", "")


def test_a_broken_hook_or_instrumentor_costs_one_line_and_the_others_run(run_python: Run, tmp_path: Path):
    (tmp_path / "broken.py").write_text("class Broken:\n    def __init__(self): 1 / 0\n")
    package = tmp_path / "broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[opentelemetry_pre_instrument]\nhook = broken:Broken\n"
        "[opentelemetry_instrumentor]\naaa = broken:Broken\n"
    )
    ended = run_python(f"import tickspan; tickspan.init()\n{_INSTRUMENTED}", PYTHONPATH=str(tmp_path))
    assert (ended.stdout, ended.stderr.splitlines()) == (
        "[True, False]\n",
        [
            "tickspan: opentelemetry_pre_instrument 'hook' failed with ZeroDivisionError",
            "tickspan: instrumentor 'aaa' is off: ZeroDivisionError while it was loaded",
        ],
    )


@pytest.mark.parametrize(
    ("call", "variables", "name"),
    [
        ("tickspan.init()", {}, f"unknown_service:{Path(sys.executable).name}"),
        ("tickspan.init({'service_name': 'code'})", {"OTEL_SERVICE_NAME": "environment"}, "code"),
        ("tickspan.init(service_name='argument')", {"OTEL_SERVICE_NAME": "environment"}, "argument"),
        ("tickspan.init()", {"TICKSPAN_SERVICE_NAME": "ours"}, "ours"),
        (
            "tickspan.init()",
            {"TICKSPAN_SERVICE_NAME": "ours", "OTEL_SERVICE_NAME": "standard"},
            "standard",
        ),
        (
            "tickspan.init()",
            {"TICKSPAN_SERVICE_NAME": "ours", "OTEL_RESOURCE_ATTRIBUTES": "service.name=attributes"},
            "attributes",
        ),
    ],
)
def test_the_service_is_named_by_the_strongest(
    run_python: Run, call: str, variables: dict[str, str], name: str
):
    ended = run_python(
        f"import tickspan; {call}\n"
        "from opentelemetry import trace\n"
        "print(trace.get_tracer_provider().resource.attributes['service.name'])",
        **variables,
    )
    assert (ended.stdout.strip(), ended.stderr) == (name, "")


def test_what_ended_is_delivered_at_exit_under_one_resource(run_python: Run):
    with OtlpServer() as server:
        ended = run_python(
            f"import tickspan; tickspan.init(service_name='bot')\n{_ONE_SPAN}",
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
        )
        (span,) = server.spans()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (span.name, span.scope) == ("work", "program")
    named = ("service.name", "telemetry.distro.name", "telemetry.distro.version", "telemetry.sdk.language")
    assert {name: span.resource[name] for name in named} == {
        "service.name": "bot",
        "telemetry.distro.name": "tickspan",
        "telemetry.distro.version": "0.1.0",
        "telemetry.sdk.language": "python",
    }


def test_the_global_random_numbers_stay_the_same(run_python: Run):
    program = "import random; random.seed(1)\n{}\nprint([random.random() for _ in range(3)])"
    bare = run_python(program.format(""))
    told = run_python(program.format(f"import tickspan; tickspan.init()\n{_ONE_SPAN}"))
    assert told.stdout == bare.stdout


def test_an_exporter_that_is_not_installed_is_an_error_in_code(run_python: Run):
    ended = run_python(
        "import tickspan\n"
        "try: tickspan.init()\n"
        "except RuntimeError as error: print('RuntimeError', 'bogus' in str(error))\n",
        OTEL_TRACES_EXPORTER="bogus",
    )
    assert (ended.stdout, ended.stderr) == ("RuntimeError True\n", "")


def test_a_provider_that_the_program_has_set_stays(run_python: Run):
    ended = run_python(
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "mine = TracerProvider(); trace.set_tracer_provider(mine)\n"
        "import tickspan; tickspan.init()\n"
        "print(trace.get_tracer_provider() is mine)\n"
    )
    assert (ended.stdout, ended.stderr) == (
        "True\n",
        "Overriding of current TracerProvider is not allowed\n",
    )
