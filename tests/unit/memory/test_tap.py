"""The agent's tap of memory: what it makes of metrics that pass, whom it asks, what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.identity import own_start_time
from tickspan_spool.taps import Finding, ProcessEnd, TapBatch, Taps

from tickspan.alerts.handover import hand_over
from tickspan.alerts.tap import AlertTap
from tickspan.analysis.growth import BUCKETS
from tickspan.config import AlertSettings
from tickspan.memory.inquiry import FOLDER, Inquiry
from tickspan.memory.tap import MemoryTap, pss_bytes
from tickspan.recording.wire import (
    CUMULATIVE,
    NUMBER_ATTRIBUTES,
    encode_attributes,
    encode_gauge,
    encode_log,
    encode_resource,
    encode_sum,
)
from tickspan.semconv import alerts as alert_names
from tickspan.semconv import memory as names
from tickspan.semconv.sessions import SESSION_NAME, SESSION_OPEN
from tickspan.testing.sink import MemorySink

MIB = 1 << 20
START_S = 1_699_999_200.0
"""A moment at which buckets of all lengths begin."""
PROCESS = "101-7-ab"
DELTA = 1


class Agent:
    """A process with metrics, and the agent that sees them, at a time of the test's own."""

    def __init__(self, home: Path, *others: tuple[str, Callable[[], Any]]) -> None:
        self.now_s = 0.0
        self.set_back_s = 0.0
        self.anonymous = 100 * MIB
        self.mapped = 50 * MIB
        self.blocks = 1_000_000
        self.live_blocks = 900_000
        self.limit = 1_000 * MIB
        self.changes = 0
        self.version = "1.0"
        self.process = PROCESS
        self.tap = MemoryTap(home, {}, lambda: round(self.wall() * 1e9), lambda: self.now_s)
        made: dict[str, Callable[[], Any]] = {"memory": lambda: self.tap, **dict(others)}
        self.names = tuple(made)
        self.taps = Taps(made.__getitem__, lambda: self.now_s)
        self.sink = MemorySink()

    def wall(self) -> float:
        return START_S + self.now_s - self.set_back_s

    def sample(self, *, temporality: int = CUMULATIVE) -> None:
        """The process exports its metrics."""
        at_ns = round(self.wall() * 1e9)
        bodies = [
            total(names.MEMORY_ANONYMOUS, self.anonymous, at_ns),
            total(names.MEMORY_MAPPED, self.mapped, at_ns),
            total(names.MEMORY_BLOCKS, self.blocks, at_ns),
            encode_gauge(names.MEMORY_LIVE_BLOCKS, "", "", at_ns, [(b"", 0, self.live_blocks, None)]),
            total(names.MEMORY_LIMIT, self.limit, at_ns),
            total(names.GC_CHANGES, self.changes, at_ns, temporality),
            total("process.memory.usage", 1, at_ns),
        ]
        self.see("metrics", bodies)

    def see(self, signal: Any, bodies: Iterable[bytes]) -> None:
        resource = encode_resource(
            {"service.name": "bot", "service.instance.id": "one", "service.version": self.version}
        )
        stream = StreamKey(signal, resource, b"")
        entries = [Entry(stream, body, 1, number) for number, body in enumerate(bodies)]
        self.take(self.taps.on_batch(self.names, TapBatch(self.process, "bot", entries)))

    def census(self, **attributes: Any) -> None:
        """The process answers."""
        body = encode_log(0, 0, 9, "INFO", "", attributes, 0, 0, 0, 0, names.EVENT_MEMORY_CENSUS)
        self.see("logs", [body])

    def tick(self) -> None:
        self.take(self.taps.tick())

    def take(self, findings: Iterable[Finding]) -> None:
        for one in findings:
            assert one.process == self.process
            self.sink.stream(one.stream).append(one.body, one.items)

    def pass_minutes(self, minutes: int, *, anonymous: int = 0, blocks: int = 0, mapped: int = 0) -> None:
        """Minutes, with six exports each, in which the process grows by so much."""
        for _ in range(minutes):
            for _ in range(6):
                self.sample()
                self.tick()
                self.now_s += 10
            self.anonymous += anonymous
            self.blocks += blocks
            self.mapped += mapped
        self.sample()

    def events(self) -> list[dict[str, Any]]:
        logs = self.sink.telemetry().logs
        return [dict(one.attributes) for one in logs if one.event_name == names.EVENT_MEMORY_LEAK]

    def verdicts(self) -> list[tuple[object, object]]:
        return [(one[names.MEMORY_VERDICT], one[names.MEMORY_LAYER]) for one in self.events()]

    def slopes(self) -> Mapping[object, float]:
        """MiB an hour by layer, of the last points."""
        points = [
            point
            for one in self.sink.telemetry().metrics
            if one.name == names.MEMORY_LEAK_SLOPE
            for point in one.points
        ]
        return {one.attributes[names.MEMORY_LAYER]: round(float(one.value or 0) / MIB) for one in points}


def total(name: str, value: float, at_ns: int, temporality: int = CUMULATIVE) -> bytes:
    return encode_sum(name, "", "", at_ns, [(b"", 0, value, None)], temporality, False)  # noqa: FBT003 - compiled


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def agent(home: Path) -> Agent:
    return Agent(home)


def asked(home: Path) -> bool:
    """Whether the process has been asked; it has answered then."""
    path = home / FOLDER / "101-7.census"
    is_asked = path.exists()
    path.unlink(missing_ok=True)
    return is_asked


def test_a_leak_is_an_event_and_a_metric_of_the_process(agent: Agent) -> None:
    agent.pass_minutes(3 * BUCKETS + 1, anonymous=MIB, blocks=10_000)
    assert agent.verdicts() == [("suspected", "python"), ("leaking", "python")]
    assert agent.slopes() == {"python": 60}
    (metric, *_) = (one for one in agent.sink.telemetry().metrics if one.name == names.MEMORY_LEAK_SLOPE)
    assert (metric.unit, metric.scope) == ("By/h", "tickspan.memory")
    assert agent.events()[-1][names.MEMORY_LEAK_HOURS_LEFT] == pytest.approx(13.4, abs=0.1)


def test_a_suspicion_asks_for_a_census_and_its_answer_names_the_owner(agent: Agent, home: Path) -> None:
    owner = "oms.book._orders: dict 120,000 -> 240,000"
    agent.pass_minutes(BUCKETS, anonymous=MIB, blocks=10_000)
    is_asked_at_once, told_before = asked(home), agent.events()
    agent.census(**{names.MEMORY_CENSUS_CONTAINERS: ("oms.book._orders: dict of 120,000",)})
    (event,) = agent.events()
    agent.pass_minutes(6, anonymous=MIB, blocks=10_000)
    is_asked_again = asked(home)
    agent.census(**{names.MEMORY_CENSUS_CONTAINERS: (owner,), names.MEMORY_OWNER: owner})
    agent.pass_minutes(2 * BUCKETS, anonymous=MIB, blocks=10_000)
    last = agent.events()[-1]
    assert (is_asked_at_once, told_before, is_asked_again) == (True, [], True)
    assert event[names.MEMORY_CENSUS_CONTAINERS] == ("oms.book._orders: dict of 120,000",)
    assert (last[names.MEMORY_VERDICT], last[names.MEMORY_OWNER]) == ("leaking", owner)


def test_a_verdict_waits_ten_seconds_for_a_census(agent: Agent) -> None:
    agent.pass_minutes(BUCKETS, anonymous=MIB)
    agent.tick()
    at_once = agent.verdicts()
    agent.now_s += 10
    agent.tick()
    assert (at_once, agent.verdicts()) == ([], [("suspected", "native")])


def test_a_process_that_ends_meanwhile_is_told_at_once_and_forgotten(agent: Agent, home: Path) -> None:
    agent.pass_minutes(BUCKETS, anonymous=MIB)
    end = ProcessEnd(PROCESS, "bot", 101, has_exited_cleanly=False)
    agent.take(agent.taps.on_end(agent.names, end))
    assert (agent.verdicts(), list((home / FOLDER).iterdir()), repr(agent.tap)) == (
        [("suspected", "native")],
        [],
        "<MemoryTap 0 processes>",
    )


def test_a_heap_that_is_mostly_free_is_fragmentation(agent: Agent) -> None:
    agent.pass_minutes(BUCKETS, anonymous=MIB)
    agent.census(**{names.MEMORY_CENSUS_FREE: 0.8})
    assert agent.verdicts() == [("suspected", "fragmentation")]


def test_files_that_are_mapped_are_no_leak(agent: Agent) -> None:
    agent.pass_minutes(3 * BUCKETS + 1, mapped=MIB)
    assert (agent.verdicts(), agent.slopes()) == ([], {})


def test_a_leak_that_ends_is_told_by_a_slope_of_zero(agent: Agent) -> None:
    agent.pass_minutes(3 * BUCKETS + 1, anonymous=MIB)
    agent.pass_minutes(BUCKETS + 1)
    assert agent.slopes() == {"native": 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("changes", 1, id="plan of the collector"),
        pytest.param("version", "1.1", id="deploy"),
        pytest.param("process", "102-9-cd", id="another process"),
        pytest.param("set_back_s", 7_200.0, id="clock set back"),
    ],
)
def test_what_changes_the_meaning_of_the_series_begins_them_anew(
    agent: Agent, name: str, value: object
) -> None:
    agent.pass_minutes(3 * BUCKETS - 2, anonymous=MIB)
    setattr(agent, name, value)
    agent.pass_minutes(BUCKETS - 2, anonymous=MIB)
    assert [verdict for verdict, _ in agent.verdicts()] == ["suspected"]
    agent.pass_minutes(4, anonymous=MIB)
    agent.now_s += 10
    agent.tick()
    assert [verdict for verdict, _ in agent.verdicts()] == ["suspected", "suspected"]


def test_changes_that_come_as_differences_count_too(agent: Agent) -> None:
    agent.pass_minutes(3 * BUCKETS - 2, anonymous=MIB)
    agent.changes = 1
    agent.sample(temporality=DELTA)
    agent.changes = 0
    agent.pass_minutes(BUCKETS - 2, anonymous=MIB)
    assert [verdict for verdict, _ in agent.verdicts()] == ["suspected"]


def test_a_session_that_opens_begins_the_short_scales_anew(home: Path) -> None:
    class Calendars:
        """In place of the tap of alerts."""

        is_open = 0

        def on_batch(self, batch: TapBatch) -> Iterator[Finding]:
            attributes = encode_attributes(NUMBER_ATTRIBUTES, {SESSION_NAME: "nyse"})
            at_ns = round(agent.wall() * 1e9)
            body = encode_gauge(SESSION_OPEN, "", "", at_ns, [(attributes, 0, self.is_open, None)])
            yield Finding(batch.process, StreamKey("metrics", b"", b""), body)

        def tick(self, now_s: float) -> None:
            pass

    calendars = Calendars()
    agent = Agent(home, ("alerts", lambda: calendars))
    agent.pass_minutes(3 * BUCKETS - 2, anonymous=MIB)
    calendars.is_open = 1
    agent.pass_minutes(BUCKETS - 2, anonymous=MIB)
    assert [verdict for verdict, _ in agent.verdicts()] == ["suspected"]


def test_the_live_set_counts_after_full_collections_only(agent: Agent) -> None:
    agent.pass_minutes(2 * BUCKETS)
    (process,) = agent.tap._processes.values()
    before = process.growth.report().series["live_blocks"]
    for _ in range(BUCKETS + 1):
        agent.live_blocks += 10
        agent.pass_minutes(1)
    assert (before, process.growth.report().series["live_blocks"]) == ("warming", "suspected")


def test_a_process_learns_that_it_is_watched(agent: Agent, home: Path) -> None:
    agent.process = f"{os.getpid()}-{own_start_time()}-ab"
    inquiry = Inquiry(home)
    before = inquiry.is_watched()
    agent.sample()
    agent.tick()
    assert (before, inquiry.is_watched(), Inquiry(home, lambda: 0.0).is_watched()) == (False, True, False)


def test_a_folder_that_cannot_be_used_costs_the_census_only(agent: Agent, home: Path) -> None:
    (home / FOLDER).write_text("a file")
    agent.pass_minutes(BUCKETS, anonymous=MIB)
    assert agent.verdicts() == [("suspected", "native")]


def test_shares_of_pages_are_told_once_a_minute(agent: Agent) -> None:
    agent.process = f"{os.getpid()}-{own_start_time()}-ab"
    agent.pass_minutes(2)
    told = [one.points[0].value for one in agent.sink.telemetry().metrics if one.name == names.MEMORY_PSS]
    assert len(told) == 2
    assert all(isinstance(one, float) and one > MIB for one in told)


@pytest.mark.parametrize(
    "key", [f"{os.getpid()}-1", "101", "a-b", f"{2**22 + 1}-1", "../1-1"], ids=lambda key: "key"
)
def test_no_other_process_is_read(key: str) -> None:
    assert pss_bytes(key) is None


def test_a_kernel_that_does_not_tell_is_none(tmp_path: Path) -> None:
    pid = str(os.getpid())
    (tmp_path / pid).mkdir()
    (tmp_path / pid / "smaps_rollup").write_text("Rss: 5 kB\nPss:\n")
    key = f"{pid}-{own_start_time()}"
    assert (pss_bytes(key, tmp_path), pss_bytes(key, tmp_path / "nowhere")) == (None, None)


def test_the_alert_of_the_default_pack_fires(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "alerts.yaml"
    rules.write_text("version: 1\ninclude: default\n")
    hand_over(home, rules, AlertSettings())
    agent = Agent(home)
    alerts = AlertTap(home, {}, agent.wall, lambda: agent.now_s)
    agent = Agent(home, ("alerts", lambda: alerts))
    alerts._wall, alerts._monotonic = agent.wall, lambda: agent.now_s
    agent.pass_minutes(3 * BUCKETS + 25, anonymous=MIB, blocks=10_000)
    too_early = fired(agent)
    agent.pass_minutes(10, anonymous=MIB, blocks=10_000)
    alerts.close()
    assert (too_early, fired(agent)) == (
        [("MemoryLeak", "pending")],
        [("MemoryLeak", "pending"), ("MemoryLeak", "firing")],
    )


def fired(agent: Agent) -> list[tuple[object, object]]:
    return [
        (one.attributes[alert_names.ALERT_NAME], one.attributes[alert_names.ALERT_STATE])
        for one in agent.sink.telemetry().logs
        if one.event_name == alert_names.EVENT_STATE_CHANGE
        and one.attributes[alert_names.ALERT_NAME] == "MemoryLeak"
    ]
