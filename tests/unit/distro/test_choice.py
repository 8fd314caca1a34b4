"""Which instrumentor runs, and which variables the distribution sets."""

import pytest

from tickspan.distro import disabled_names, missing_defaults, reason_to_skip

_BOTH = frozenset({"redis", "tickspan_redis", "flask", "tickspan_ccxt"})


@pytest.mark.parametrize(
    ("prefer_upstream", "running"),
    [
        ((), ["flask", "tickspan_ccxt", "tickspan_redis"]),
        (("redis",), ["flask", "redis", "tickspan_ccxt"]),
        (("ccxt",), ["flask", "tickspan_ccxt", "tickspan_redis"]),
    ],
)
def test_of_ours_and_upstreams_exactly_one_runs(prefer_upstream: tuple[str, ...], running: list[str]):
    assert [name for name in sorted(_BOTH) if reason_to_skip(name, _BOTH, prefer_upstream) is None] == running


def test_the_reason_names_what_runs_instead():
    assert reason_to_skip("redis", _BOTH, ()) == "'tickspan_redis' runs for this library"
    assert reason_to_skip("tickspan_redis", _BOTH, ("redis",)) == (
        "upstream's 'redis' is preferred by configuration"
    )


def test_one_of_ours_runs_for_many_drivers():
    installed = {"psycopg", "sqlite3", "flask", "tickspan_dbapi"}
    running = [name for name in sorted(installed) if reason_to_skip(name, installed, ("psycopg",)) is None]
    assert running == ["flask", "psycopg", "tickspan_dbapi"]
    assert reason_to_skip("sqlite3", installed, ()) == "'tickspan_dbapi' runs for this library"


@pytest.mark.parametrize(
    ("value", "running"),
    [
        ("", ["flask", "tickspan_ccxt", "tickspan_redis"]),
        ("redis", ["flask", "tickspan_ccxt"]),
        (" tickspan_redis , flask", ["tickspan_ccxt"]),
        ("*", []),
    ],
)
def test_a_library_that_is_switched_off_has_no_instrumentor(value: str, running: list[str]):
    disabled = disabled_names({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": value})
    assert [name for name in sorted(_BOTH) if reason_to_skip(name, _BOTH, (), disabled) is None] == running


def test_without_an_endpoint_nothing_is_exported():
    assert missing_defaults({}) == {
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


def test_an_endpoint_for_all_signals_exports_all_of_them():
    defaults = missing_defaults({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert {name: value for name, value in defaults.items() if name.endswith("_EXPORTER")} == {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
    }


def test_an_endpoint_for_one_signal_exports_that_one():
    defaults = missing_defaults({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"})
    assert [name for name in defaults if name.endswith("_EXPORTER")] == ["OTEL_METRICS_EXPORTER"]


def test_what_the_user_has_set_is_never_overridden():
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "console",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup",
        "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    assert missing_defaults(environ) == {}
