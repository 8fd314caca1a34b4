"""The catalogue says what the conventions and our code say, and has every key metric."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.resources import Resource
from tickspan_spool.agent import semconv as agent_names
from tickspan_spool.agent.report import Report, Way, metrics
from tickspan_spool.entries import Entry, StreamKey, export_request
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason
from tickspan_spool.taps import decoded

import tickspan.semconv
from scripts import semconv, strays
from tickspan.instrumentation.pooling import PoolCounts, PoolProbe
from tickspan.processors.queries.telling import Counts
from tickspan.providers import MeterProvider
from tickspan.received import Telemetry, decode_metrics
from tickspan.recording import Guard
from tickspan.semconv import db, findings
from tickspan.semconv import trading as names
from tickspan.semconv.catalogue import METRICS
from tickspan.testing import capture
from tickspan.testing.sink import MemorySink

CHAPTERS = semconv.chapters(semconv.read())
OURS = ("process", "agent", "upstream", "collector", "")
UPSTREAM = ("system", "process", "cpython", "container", "db", "http", "otel")


class Meter:
    """Notes what upstream's generated functions would make."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, str]] = {}

    def __getattr__(self, method: str) -> Callable[..., None]:
        kinds = {
            "create_counter": "counter",
            "create_up_down_counter": "updowncounter",
            "create_histogram": "histogram",
            "create_observable_gauge": "gauge",
        }

        def make(*, name: str, unit: str, **_: Any) -> None:
            self.made[name] = (kinds[method], unit)

        return make


@pytest.fixture(scope="module")
def conventions() -> dict[str, tuple[str, str]]:
    """Instrument and unit by name, of OpenTelemetry's conventions as installed; deprecated ones left out."""
    meter = Meter()
    for module_name in UPSTREAM:
        module = importlib.import_module(f"opentelemetry.semconv._incubating.metrics.{module_name}_metrics")
        for name, create in vars(module).items():
            if name.startswith("create_") and "eprecated" not in (create.__doc__ or ""):
                arguments = (meter, []) if create.__code__.co_argcount > 1 else (meter,)
                create(*arguments)
    return meter.made


def test_metrics_that_opentelemetry_has_are_as_it_has_them(conventions: dict[str, tuple[str, str]]) -> None:
    shared = METRICS.keys() & conventions.keys()
    assert {name: (METRICS[name].instrument, METRICS[name].unit) for name in shared} == {
        name: conventions[name] for name in shared
    }
    assert len(shared) > 50


def test_a_metric_in_a_namespace_of_opentelemetry_is_one_of_its_own(
    conventions: dict[str, tuple[str, str]],
) -> None:
    without_convention = {
        "system.cpu.load_average.1m",
        "container.cpu.throttling_data.periods",
        "container.cpu.throttling_data.throttled_periods",
        "container.cpu.throttling_data.throttled_time",
        "container.memory.usage.limit",
    }
    theirs = tuple(f"{namespace}." for namespace in UPSTREAM)
    strange = {name for name in METRICS if name.startswith(theirs)} - conventions.keys()
    stable = {"db.client.operation.duration", "http.server.request.duration", "http.client.request.duration"}
    assert strange - stable == without_convention


def test_no_metric_stands_twice_and_each_is_complete() -> None:
    rows = [metric for chapter in CHAPTERS for metric in chapter.metrics]
    assert [name for name, times in Counter(row.name for row in rows).items() if times > 1] == []
    assert {row.instrument for row in rows} == {"counter", "updowncounter", "gauge", "histogram"}
    assert [row.name for row in rows if not row.brief.endswith(".") or row.emitted not in OURS] == []
    assert list(METRICS) == [row.name for row in rows]


def test_files_say_nothing_that_is_not_read() -> None:
    known = {"name", "instrument", "unit", "brief", "attributes", "emitted"}
    files = [yaml.safe_load(path.read_text()) for path in semconv.OTHER.glob("*.yaml")]
    assert {key for file in files for key in file} == {"emitted", "metrics"}
    assert {key for file in files for row in file["metrics"] for key in row} == known


@pytest.mark.parametrize(
    "wanted",
    [
        # system
        ("system.cpu.utilization", "system.cpu.time", "system.cpu.load_average.1m"),
        ("system.memory.usage", "system.memory.utilization", "system.memory.linux.available"),
        ("system.disk.io", "system.disk.operations", "system.disk.io_time", "process.disk.io"),
        ("system.network.io", "system.network.errors", "system.network.packet.dropped"),
        ("system.process.count", "process.thread.count", "process.unix.file_descriptor.count"),
        # application
        ("http.server.request.duration", "http.client.request.duration", "db.client.operation.duration"),
        ("http.server.active_requests", "db.client.connection.count", "trading.stream.connected"),
        ("process.memory.usage", "cpython.gc.collections", "tickspan.cpython.gc.pause.duration"),
        # business
        ("trading.order.duration", "trading.wire_to_ack", "trading.tick_to_trade", "trading.slippage"),
        ("trading.order.operations", "trading.order.fills", "trading.order.rejects"),
        ("trading.risk.check.duration",),
        ("trading.feed.messages", "trading.feed.lag", "trading.feed.queue", "trading.feed.staleness"),
    ],
)
def test_key_metrics_are_there_and_somebody_emits_them(wanted: Sequence[str]) -> None:
    assert [name for name in wanted if not METRICS[name].emitted] == []


def test_what_trading_declares_is_in_the_catalogue() -> None:
    assert {name: METRICS[name].unit for name in names.METRICS} == dict(names.UNITS)


def test_what_is_said_to_be_emitted_is_named_in_the_sources_and_what_is_planned_is_not(root: Path) -> None:
    constants = {
        value: name
        for module in (*modules_of(tickspan.semconv), agent_names)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    agents = dict.fromkeys(agent_names.EXPORTED.values(), "EXPORTED")
    folders = [root / "src/tickspan", *root.glob("instrumentors/*/src"), *root.glob("exporters/*/src")]
    words = {
        word
        for folder in folders
        for path in folder.rglob("*.py")
        if not {"semconv", "semconv.py", "analysis", "cli"} & set(path.parts)
        for word in re.findall(r"[A-Z][A-Z0-9_]+", path.read_text(encoding="utf-8"))
    }
    named = {name for name, constant in (constants | agents).items() if constant in words}
    emitted = {name for name, one in METRICS.items() if one.emitted in {"process", "agent"}}
    planned = {name for name, one in METRICS.items() if not one.emitted}
    assert (sorted(emitted - named), sorted(planned & named)) == ([], [])


def modules_of(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(one.name) for one in found]


def uncatalogued(telemetry: Telemetry) -> list[str]:
    return strays.declared(semconv.read()).strays(telemetry)


def test_the_agents_report_is_as_the_catalogue_says() -> None:
    dropped = {Reason.DISK_BOUND: 1}
    counts: Any = {"traces": Ledger(9, 5, 3, dropped)}
    ways = [
        Way(signal, "http://x", 5, dropped, "open")  # pyright: ignore[reportArgumentType] - the three signals
        for signal in ("traces", "metrics", "logs")
    ]
    stream = StreamKey("metrics", b"", b"")
    entries = [Entry(stream, body, items, 0) for body, items in metrics(Report(counts, ways, 10, 1.0), 1, 2)]
    told = decode_metrics(decoded("metrics", export_request(entries)))  # pyright: ignore[reportArgumentType] - of the signal
    expected = {
        name
        for name, one in METRICS.items()
        if one.emitted == "agent"
        and not name.startswith(
            ("system.", "tickspan.queries.", "tickspan.alert.", "tickspan.session.", "tickspan.memory.")
        )
    }
    assert {one.name for one in told} == expected
    assert {one.name: (strays.instrument_of(one), one.unit) for one in told} == {
        name: (METRICS[name].instrument, METRICS[name].unit) for name in expected
    }
    given = {one.name: {key for point in one.points for key in point.attributes} for one in told}
    assert {name: keys - set(METRICS[name].attributes) for name, keys in given.items()} == {
        name: set() for name in given
    }


def test_counts_of_findings_are_as_the_catalogue_says() -> None:
    counts = Counts(1)
    counts.add(db.TICKSPAN_DB_FINDINGS, ((findings.FINDING_RULE, "n_plus_one"),))
    counts.add(findings.QUERIES_SKIPPED, ((findings.SKIPPED_REASON, "busy"),))
    records = counts.records("1-2-ab", StreamKey("traces", b"", b""), 2)
    entries = [Entry(one.stream, one.body, one.items, 0) for one in records]
    told = decode_metrics(decoded("metrics", export_request(entries)))  # pyright: ignore[reportArgumentType] - of the signal
    assert len(told) == 2
    assert uncatalogued(Telemetry((), tuple(told), ())) == []


class Pool:
    """What can be watched."""


def test_pools_are_measured_as_the_catalogue_says() -> None:
    sink = MemorySink()
    provider = MeterProvider(resource=Resource({}), sink=sink, shutdown_on_exit=False)
    probe = PoolProbe(provider.get_meter("tickspan_test"), Guard("test", "pools"))
    pool = Pool()
    watched = probe.watch(pool, "main", lambda _: PoolCounts(1, 2, 3, 4, 5))
    assert watched is not None
    for tell in (watched.created, watched.waited, watched.used):
        tell(1_000)
    watched.timed_out()
    provider.collect()
    told = sink.telemetry()
    pooled = {name for name in METRICS if name.startswith("db.client.connection.")}
    assert {one.name for one in told.metrics} == pooled
    assert uncatalogued(told) == []


def test_a_metric_of_ours_that_is_not_in_the_catalogue_is_a_stray() -> None:
    with capture() as told:
        ours, theirs = (told.meter_provider.get_meter(scope) for scope in ("tickspan.x", "their.scope"))
        ours.create_counter("tickspan.nonsense").add(1)
        ours.create_counter("tickspan.spool.size", unit="By").add(1)
        theirs.create_counter("nonsense").add(1)
        assert uncatalogued(told.received()) == [
            "metric tickspan.nonsense is not in the catalogue",
            "metric tickspan.spool.size is a counter of unit 'By', and a gauge of unit 'By' in the catalogue",
        ]
