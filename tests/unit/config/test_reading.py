"""What is given as settings, in each layer, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tickspan.config import (
    Origin,
    Quantities,
    Reading,
    Settings,
    SettingsError,
    SettingsProblem,
    TradingSettings,
    read_settings,
)
from tickspan.config.conversion import convert

_DECLARATIVE = """
file_format: "1.0"
tracer_provider: {}
distribution:
  tickspan:
    debug: ${DEBUG:-true}
    prefer_upstream: [redis, "${LIBRARY}", "${NOTHING}"]
    trading:
      quantities: ${env:QUANTITIES}
      salt: ${SALT:-}
      environment: "$${HOME} of ${NOBODY:-somebody}"
      max_orders: 12
      max_waiting:
"""


_LIST = "a list of names, such as 'redis,sqlalchemy'"
_WHOLE = "a whole number, zero or more"


def _read(
    tmp_path: Path,
    environ: Mapping[str, str] | None = None,
    code: Any = None,
    **overrides: Any,
) -> Reading:
    return read_settings(code, environ=environ or {}, directory=tmp_path, overrides=overrides)


def _origins(reading: Reading) -> dict[str, str]:
    return {name: str(origin) for name, origin in reading.origins.items() if origin.layer != "default"}


def _problems(reading: Reading) -> list[str]:
    return [str(problem) for problem in reading.problems]


def test_nothing_given_is_all_defaults(tmp_path: Path):
    reading = _read(tmp_path)
    assert (reading.settings, set(reading.origins.values()), reading.problems) == (
        Settings(),
        {Origin("default")},
        (),
    )


def test_a_toml_file_in_the_folder_is_read(tmp_path: Path):
    file = tmp_path / "tickspan.toml"
    file.write_text(
        'service_name = "bot"\nprefer_upstream = ["redis"]\n'
        '[trading]\nquantities = "full"\nmax_orders = 1_000\n'
    )
    reading = _read(tmp_path)
    assert reading.settings == Settings(
        service_name="bot",
        prefer_upstream=("redis",),
        trading=TradingSettings(quantities=Quantities.FULL, max_orders=1_000),
    )
    assert _origins(reading) == dict.fromkeys(
        ("service_name", "prefer_upstream", "trading.quantities", "trading.max_orders"), f"file ({file})"
    )


def test_a_named_file_is_read_instead_of_the_one_in_the_folder(tmp_path: Path):
    (tmp_path / "tickspan.toml").write_text("debug = true\n")
    named = tmp_path / "other.toml"
    named.write_text('service_name = "other"\n')
    reading = _read(tmp_path, {"TICKSPAN_CONFIG_FILE": str(named)})
    assert (reading.settings, reading.problems) == (Settings(service_name="other"), ())


def test_code_is_stronger_than_the_environment_and_that_than_the_file(tmp_path: Path):
    file = tmp_path / "tickspan.toml"
    file.write_text(
        'service_name = "file"\ndebug = true\n'
        '[trading]\nenvironment = "file"\nquantities = "full"\nsalt = "file"\n'
    )
    environ = {
        "TICKSPAN_SERVICE_NAME": "environment",
        "TICKSPAN_TRADING_ENVIRONMENT": "environment",
        "TICKSPAN_TRADING_QUANTITIES": "bucketed",
    }
    code = {"service_name": "code", "trading": {"environment": "code"}}
    reading = _read(tmp_path, environ, code, service_name="argument")
    assert reading.settings == Settings(
        service_name="argument",
        debug=True,
        trading=TradingSettings(environment="code", quantities=Quantities.BUCKETED, salt="file"),
    )
    assert _origins(reading) == {
        "service_name": "code",
        "debug": f"file ({file})",
        "trading.environment": "code",
        "trading.quantities": "environment (TICKSPAN_TRADING_QUANTITIES)",
        "trading.salt": f"file ({file})",
    }


def test_code_may_name_a_file(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text("[trading]\nmax_tick_age_s = 2\n")
    reading = _read(tmp_path, {"TICKSPAN_TRADING_MAX_TICK_AGE_S": "9"}, str(file))
    assert reading.settings == Settings(trading=TradingSettings(max_tick_age_s=2.0))
    assert _origins(reading) == {"trading.max_tick_age_s": f"file ({file})"}


def test_an_empty_variable_is_not_set(tmp_path: Path):
    reading = _read(tmp_path, {"TICKSPAN_DEBUG": "", "TICKSPAN_CONFIG_FILE": "", "OTEL_CONFIG_FILE": ""})
    assert (reading.settings, reading.problems) == (Settings(), ())


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path):
    environ = {
        "TICKSPAN_TEST_REQUIRE": "all",
        "TICKSPAN_RUN_SUBPROCESSES": "1",
        "TICKSPAN_PURE": "1",
        "HOME": "/",
    }
    assert _read(tmp_path, environ).problems == ()


def test_the_section_of_a_declarative_file_is_read_with_the_environment_put_in(tmp_path: Path):
    file = tmp_path / "otel.yaml"
    file.write_text(_DECLARATIVE)
    environ = {"OTEL_CONFIG_FILE": str(file), "QUANTITIES": "bucketed", "LIBRARY": "sqlalchemy"}
    reading = _read(tmp_path, environ)
    assert reading.problems == ()
    assert reading.settings == Settings(
        debug=True,
        prefer_upstream=("redis", "sqlalchemy"),
        trading=TradingSettings(
            quantities=Quantities.BUCKETED, environment="${HOME} of somebody", max_orders=12
        ),
    )
    assert _origins(reading)["trading.quantities"] == f"file ({file} distribution.tickspan)"


def test_what_the_environment_puts_in_changes_no_other_key(tmp_path: Path):
    file = tmp_path / "otel.yaml"
    file.write_text("distribution:\n  tickspan:\n    service_name: ${NAME}\n")
    reading = _read(tmp_path, {"OTEL_CONFIG_FILE": str(file), "NAME": "bot\n    debug: true"})
    assert reading.settings == Settings(service_name="bot\n    debug: true")


def test_a_declarative_file_without_our_section_changes_nothing(tmp_path: Path):
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\n')
    reading = _read(tmp_path, {"OTEL_CONFIG_FILE": str(file)})
    assert (reading.settings, reading.problems) == (Settings(), ())


def test_an_unquoted_off_in_yaml_is_the_choice_off(tmp_path: Path):
    file = tmp_path / "otel.yaml"
    file.write_text("distribution: {tickspan: {trading: {quantities: off}}}\n")
    reading = _read(tmp_path, {"OTEL_CONFIG_FILE": str(file)})
    assert (reading.settings, reading.problems) == (Settings(), ())


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("QUANTITIES", "some", "trading.quantities: expected one of off, bucketed, full, got 'some'"),
        ("MAX_ORDERS", "-1", "trading.max_orders: expected a whole number, zero or more, got '-1'"),
        ("WAITING_S", "nan", "trading.waiting_s: expected a number, zero or more, got 'nan'"),
        (
            "QUANTITES",
            "full",
            "trading_quantites: unknown variable; did you mean 'TICKSPAN_TRADING_QUANTITIES'?",
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name_and_keeps_the_default(
    tmp_path: Path, name: str, value: str, problem: str
):
    variable = f"TICKSPAN_TRADING_{name}"
    reading = _read(tmp_path, {variable: value})
    assert (_problems(reading), reading.settings) == ([f"{variable}: {problem}"], Settings())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('servce_name = "x"', "servce_name: unknown key; did you mean 'service_name'?"),
        (
            '[trading]\nquantites = "full"',
            "trading.quantites: unknown key; did you mean 'trading.quantities'?",
        ),
        ("service_name = 5", "service_name: expected a text, got 5"),
        (
            "prefer_upstream = 1",
            "prefer_upstream: expected a list of names, such as 'redis,sqlalchemy', got 1",
        ),
        (
            "[trading]\nmax_orders = true",
            f"trading.max_orders: expected {_WHOLE}, got True",
        ),
        ("[trading]\nmax_orders = 1.5", f"trading.max_orders: expected {_WHOLE}, got 1.5"),
        ("[trading]\nwaiting_s = inf", "trading.waiting_s: expected a number, zero or more, got inf"),
        ("[trading]\nsalt = 4711", "trading.salt: expected a text, got something else"),
    ],
)
def test_a_wrong_key_of_a_file_is_told_with_file_key_and_expectation(tmp_path: Path, text: str, problem: str):
    file = tmp_path / "tickspan.toml"
    file.write_text(text)
    reading = _read(tmp_path)
    assert (_problems(reading), reading.settings) == ([f"{file}: {problem}"], Settings())


def test_a_key_like_no_other_is_answered_with_all_keys(tmp_path: Path):
    (problem,) = _read(tmp_path, code={"zzz": 1}).problems
    known = "unknown key; known: service_name, preset, debug, prefer_upstream, agent, "
    assert problem.message.startswith(known)


def test_a_value_where_a_section_belongs_is_answered_with_its_keys(tmp_path: Path):
    (problem,) = _read(tmp_path, code={"trading": "full"}).problems
    assert str(problem).startswith("code: trading: expected keys below it (trading.environment, ")


def test_a_wrong_value_keeps_the_weaker_one_and_its_origin(tmp_path: Path):
    file = tmp_path / "tickspan.toml"
    file.write_text("[trading]\nmax_orders = 7\n")
    reading = _read(tmp_path, {"TICKSPAN_TRADING_MAX_ORDERS": "many"})
    assert reading.settings == Settings(trading=TradingSettings(max_orders=7))
    assert _origins(reading) == {"trading.max_orders": f"file ({file})"}


def test_files_that_cannot_be_read_are_told(tmp_path: Path):
    (tmp_path / "tickspan.toml").write_text("debug = \n")
    (tmp_path / "otel.yaml").write_text("a: [1\n")
    environ = {"OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}
    origins = [problem.origin for problem in _read(tmp_path, environ, tmp_path / "gone.toml").problems]
    assert origins == [
        Origin("file", str(tmp_path / "tickspan.toml")),
        Origin("file", f"{tmp_path / 'otel.yaml'} distribution.tickspan"),
        Origin("file", str(tmp_path / "gone.toml")),
    ]


def test_a_section_that_is_no_mapping_is_told(tmp_path: Path):
    file = tmp_path / "otel.yaml"
    file.write_text("distribution: {tickspan: fast}\n")
    reading = _read(tmp_path, {"OTEL_CONFIG_FILE": str(file)})
    assert _problems(reading) == [f"{file} distribution.tickspan: (section): expected a mapping, got 'fast'"]


def test_checked_settings_raise_with_every_problem(tmp_path: Path):
    reading = _read(tmp_path, code={"debug": "perhaps", "trading": {"saltt": "x"}})
    with pytest.raises(SettingsError) as raised:
        reading.checked()
    assert raised.value.problems == (
        SettingsProblem(Origin("code"), "debug", "expected true or false, got 'perhaps'"),
        SettingsProblem(Origin("code"), "trading.saltt", "unknown key; did you mean 'trading.salt'?"),
    )
    assert str(raised.value) == "; ".join(str(problem) for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("yes", bool, True),
        (False, bool, False),
        (" Off ", bool, False),
        ("20_000", int, 20_000),
        (3, float, 3.0),
        ("0.25", float, 0.25),
        (" FULL ", Quantities, Quantities.FULL),
        (None, str | None, None),
        ("x", str | None, "x"),
        (" redis, sqlalchemy ,", tuple[str, ...], ("redis", "sqlalchemy")),
        (("a",), tuple[str, ...], ("a",)),
    ],
)
def test_a_value_becomes_its_kind(raw: Any, kind: Any, value: Any):
    assert convert(raw, kind) == value


def test_settings_are_values(tmp_path: Path):
    reading = _read(tmp_path, code={"debug": True})
    assert replace(reading.settings, debug=False) == Settings()
