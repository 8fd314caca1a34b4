"""Switching instrumentors on: each that can run does, and one that cannot is told in one line at most."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
from opentelemetry.instrumentation.dependencies import DependencyConflict, DependencyConflictError

from tickspan.config import DatabaseSettings, Quantities, Settings, TradingSettings, read_settings
from tickspan.distro import TickspanDistro
from tickspan.distro import distro as distro_module


@dataclass
class _Instrumentor:
    """Stands for what an entry point loads; `given` is what it was switched on with."""

    error: Exception | None = None
    is_instrumented_by_opentelemetry: bool = False
    given: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def instrument(self, **kwargs: Any) -> None:
        if self.error is not None:
            raise self.error
        self.given.append(kwargs)


@dataclass(frozen=True)
class _EntryPoint:
    """Stands for `importlib.metadata.EntryPoint`."""

    name: str
    instrumentor: _Instrumentor

    def load(self) -> Callable[[], _Instrumentor]:
        return lambda: self.instrumentor


@pytest.fixture
def switch_on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Load entry points as if they were the installed ones, with `settings` of the process."""

    def load(*entry_points: _EntryPoint, **settings: Any) -> None:
        monkeypatch.setattr(TickspanDistro, "reading", read_settings(settings, environ={}))
        monkeypatch.setattr(distro_module, "instrumentor_names", lambda: {item.name for item in entry_points})
        for item in entry_points:
            TickspanDistro().load_instrumentor(item)  # pyright: ignore[reportArgumentType] - what it needs of one

    return load


def test_a_member_gets_the_settings_of_trading_databases_and_redis_as_values_and_no_password(
    switch_on: Callable[..., None],
):
    ours = _Instrumentor()
    switch_on(
        _EntryPoint("tickspan_ccxt", ours),
        trading={"quantities": "full"},
        redis={"password": "hunter2", "channels": "fills,orders", "metrics": False},
    )
    settings = TradingSettings(quantities=Quantities.FULL)
    assert ours.given == [
        {
            "raise_exception_on_conflict": True,
            "settings": {
                **asdict(settings),
                "database": asdict(DatabaseSettings()),
                "redis": {
                    "metrics": False,
                    "message_spans": False,
                    "channels": ("fills", "orders"),
                    "streams": (),
                },
            },
        }
    ]


def test_a_foreign_instrumentor_gets_no_settings(switch_on: Callable[..., None]):
    foreign = _Instrumentor()
    switch_on(_EntryPoint("flask", foreign))
    assert foreign.given == [{"raise_exception_on_conflict": True}]


def test_ours_runs_and_upstreams_for_the_same_library_does_not(switch_on: Callable[..., None]):
    ours, upstream = _Instrumentor(), _Instrumentor()
    switch_on(_EntryPoint("redis", upstream), _EntryPoint("tickspan_redis", ours))
    assert (len(ours.given), len(upstream.given)) == (1, 0)


def test_upstreams_runs_and_ours_does_not_where_it_is_preferred(switch_on: Callable[..., None]):
    ours, upstream = _Instrumentor(), _Instrumentor()
    entry_points = _EntryPoint("redis", upstream), _EntryPoint("tickspan_redis", ours)
    switch_on(*entry_points, prefer_upstream=["redis"])
    assert (len(ours.given), len(upstream.given)) == (0, 1)


def test_one_that_is_on_already_is_left_alone(switch_on: Callable[..., None]):
    running = _Instrumentor(is_instrumented_by_opentelemetry=True)
    switch_on(_EntryPoint("flask", running))
    assert running.given == []


def test_a_broken_one_is_told_in_one_line_and_the_next_one_runs(
    switch_on: Callable[..., None], capsys: pytest.CaptureFixture[str]
):
    broken, well = _Instrumentor(error=ZeroDivisionError("secret=4711")), _Instrumentor()
    switch_on(_EntryPoint("broken", broken), _EntryPoint("well", well))
    assert capsys.readouterr() == (
        "",
        "tickspan: instrumentor 'broken' is off: ZeroDivisionError while it was loaded\n",
    )
    assert len(well.given) == 1


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'flask'"),
        DependencyConflictError(DependencyConflict(required="flask >= 2", found="flask 1")),
    ],
)
def test_one_whose_library_is_not_there_or_too_old_is_off_without_a_word(
    switch_on: Callable[..., None], capsys: pytest.CaptureFixture[str], error: Exception
):
    switch_on(_EntryPoint("flask", _Instrumentor(error=error)))
    assert capsys.readouterr() == ("", "")


def test_one_that_the_standard_variable_names_is_off(
    switch_on: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis")
    ours, upstream, other = _Instrumentor(), _Instrumentor(), _Instrumentor()
    switch_on(
        _EntryPoint("redis", upstream), _EntryPoint("tickspan_redis", ours), _EntryPoint("flask", other)
    )
    assert (ours.given, upstream.given, len(other.given)) == ([], [], 1)


def test_settings_are_read_once_for_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TickspanDistro, "reading", None)
    first = TickspanDistro.settings_read()
    monkeypatch.setenv("TICKSPAN_DEBUG", "true")
    assert TickspanDistro.settings_read() is first
    assert first.settings == Settings()
