"""`tickspan metrics`: what running programs have recorded, as a table and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from tickspan_spool.spool import Spool, SpoolPlan

from tickspan.cli.main import main
from tickspan.cli.metrics import section_of
from tickspan.providers import MeterProvider
from tickspan.semconv.catalogue import METRICS
from tickspan.testing import FakeClock

SECOND_NS = 10**9


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A spool in which this process, service `bot`, has recorded three collections, ten seconds apart."""
    made: Any = Spool(SpoolPlan(directory=tmp_path / "spool", agent="off", service_name="bot"))
    made.prepare()
    clock = FakeClock(step_ns=0)
    resource = Resource({"service.name": "bot", "host.name": "desk-1"})
    provider = MeterProvider(resource=resource, sink=made, clock=clock, shutdown_on_exit=False)
    meter = provider.get_meter("test")
    trades = meter.create_counter("desk.trades", "{trade}")
    memory = meter.create_up_down_counter("process.memory.usage", "By")
    query = meter.create_histogram(
        "db.client.operation.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 0.2]
    )
    memory.add(3 << 20)
    for _ in range(3):
        trades.add(20, {"book": "eq"})
        query.record(0.05)
        provider.collect()
        clock.now_ns += 10 * SECOND_NS
    yield tmp_path / "spool"
    made.close(1.0)


def test_a_table_shows_each_section_with_units_for_people(
    spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", "--directory", str(spool)]) == 0
    head, *table = capsys.readouterr().out.splitlines()
    assert head.startswith("bot, pid ")
    assert " on desk-1, measured " in head
    assert table == [
        "  process                 now  per second  p50  p95  p99",
        "  process.memory.usage  3 MiB",
        "  db                              now  per second    p50    p95    p99",
        "  db.client.operation.duration  50 ms         0.1  50 ms  95 ms  99 ms",
        "  business              now  per second  p50  p95  p99",
        "  desk.trades{book=eq}   60           2",
    ]


def test_the_same_as_data(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "--directory", str(spool), "--json", "--section", "business"]) == 0
    (program,) = json.loads(capsys.readouterr().out)
    assert (program["service"], program["host"]) == ("bot", "desk-1")
    assert program["metrics"] == [
        {
            "section": "business",
            "metric": "desk.trades",
            "unit": "{trade}",
            "kind": "counter",
            "attributes": {"book": "eq"},
            "last": 60,
            "rate": 2.0,
            "p50": None,
            "p95": None,
            "p99": None,
        }
    ]


@pytest.mark.parametrize("option", [["--pid", "1"], ["--service", "other"], ["--section", "trading"]])
def test_what_nobody_measures_is_told_with_the_programs_that_run(
    spool: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert main(["metrics", "--directory", str(spool), *option]) == 1
    assert capsys.readouterr().err.startswith(
        "tickspan metrics: no running program measures that; there are bot ("
    )


def test_an_empty_spool_is_told_with_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"tickspan metrics: no running program records metrics in {tmp_path}; run one: tickspan run -- python"
        " bot.py\n"
    )


def test_metrics_are_shown_again_until_interrupted(
    spool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("tickspan.cli.metrics.time.sleep", rest)
    assert main(["metrics", "--directory", str(spool), "--watch", "5"]) == 130
    assert rests == [5.0, 5.0]
    assert capsys.readouterr().out.count("desk.trades{book=eq}") == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "often", "1e9"])
def test_a_pause_that_is_none_is_wrong_usage(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["metrics", f"--watch={seconds}"])
    assert ended.value.code == 2
    assert "expected up to 3600 seconds" in capsys.readouterr().err


def test_every_metric_of_the_catalogue_has_a_section() -> None:
    sections = {name: section_of(name) for name, one in METRICS.items() if one.emitted != "collector"}
    assert [name for name, section in sections.items() if section == "business"] == []
    assert (sections["system.cpu.time"], sections["tickspan.cpython.gc.pause.duration"]) == (
        "system",
        "process",
    )
    assert (sections["tickspan.db.findings"], sections["tickspan.spool.size"]) == ("db", "telemetry")
