"""The agent's tap: what it makes of what processes record, and of their ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.taps import Finding, ProcessEnd, TapBatch

from tickspan.alerts.checkpoint import FILE, read_any
from tickspan.alerts.handover import hand_over
from tickspan.alerts.notice import Notice, NoticeState
from tickspan.alerts.tap import AlertTap
from tickspan.analysis.rules.tiers import Tier
from tickspan.config import AlertSettings
from tickspan.received import ReceivedLog
from tickspan.recording.wire import encode_log, encode_resource
from tickspan.semconv import alerts as names
from tickspan.testing.sink import MemorySink

PROCESS = "101-7-ab"
RESOURCE = encode_resource({"service.name": "bot", "service.instance.id": "one", "host.name": "h"})
START_NS = 1_700_000_000 * 10**9
RULES = """
version = 1
[[rules]]
name = "Halted"
kind = "event"
event = "desk.halt"
window = "10s"
keep_firing_for = "1m"
[[rules]]
name = "ProcessDied"
kind = "event"
event = "tickspan.process_died"
by = ["tickspan.service"]
scope = "host"
"""


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return START_NS / 1e9 + self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rules = tmp_path / "alerts.toml"
    rules.write_text(RULES)
    folder = tmp_path / "spool"
    folder.mkdir()
    hand_over(folder, rules, AlertSettings())
    return folder


@pytest.fixture
def tap(home: Path, clock: Clock) -> Iterator[AlertTap]:
    made = AlertTap(home, {}, clock.wall, clock.monotonic)
    yield made
    made.close()


@pytest.fixture
def webhook() -> Iterator[str]:
    """The address of a server that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def logged(event: str, attributes: Mapping[str, Any] | None = None) -> TapBatch:
    body = encode_log(START_NS, START_NS, 9, "INFO", None, dict(attributes or {}), 0, 0, 0, 0, event)
    return TapBatch(PROCESS, "bot", [Entry(StreamKey("logs", RESOURCE, b""), body, 1, 0)])


def received(records: Iterable[Finding] | None) -> list[ReceivedLog]:
    sink = MemorySink()
    for record in records or ():
        assert record.process == PROCESS
        sink.stream(record.stream).append(record.body, record.items)
    return list(sink.telemetry().logs)


def states(logs: Iterable[ReceivedLog]) -> list[tuple[object, object]]:
    return [(log.attributes[names.ALERT_NAME], log.attributes[names.ALERT_STATE]) for log in logs]


def firing(tap: AlertTap) -> list[tuple[str, str]]:
    assert tap.station is not None
    return [(one.rule, one.evaluator.value) for one in tap.station.delivery.firing()]


def of_the_process(state: NoticeState = NoticeState.FIRING, rule: str = "SlowVenue") -> TapBatch:
    notice = Notice(
        rule,
        (("alertname", rule), ("instance", "one"), ("job", "bot")),
        state,
        START_NS / 1e9,
        None if state is NoticeState.FIRING else START_NS / 1e9 + 5,
        evaluator=Tier.PROCESS,
        owner=Tier.PROCESS,
        speaker=Tier.PROCESS,
    )
    return logged(names.EVENT_STATE_CHANGE, {names.ALERT_NOTICE: notice.to_json()})


def test_an_event_rule_fires_at_once_and_is_told_under_the_resource_of_its_process(tap: AlertTap):
    (log,) = received(tap.on_batch(logged("desk.halt")))
    assert (log.event_name, log.resource["service.instance.id"]) == ("tickspan.alert.state_change", "one")
    assert states([log]) == [("Halted", "firing")]
    assert log.attributes[names.ALERT_EVALUATOR] == "agent"
    assert firing(tap) == [("Halted", "agent")]


def test_what_a_process_tells_of_an_alert_is_passed_on(tap: AlertTap):
    assert received(tap.on_batch(of_the_process())) == []
    assert firing(tap) == [("SlowVenue", "process")]
    tap.on_batch(of_the_process(NoticeState.RESOLVED))
    assert firing(tap) == []


def test_the_alerts_of_a_process_that_exits_end_and_nobody_calls_it_dead(tap: AlertTap):
    tap.on_batch(logged("desk.halt"))
    tap.on_batch(of_the_process())
    ended = received(tap.on_end(ProcessEnd(PROCESS, "bot", 101, has_exited_cleanly=True)))
    # its own resource went with it: nobody else is there to tell it under
    assert (states(ended), firing(tap)) == ([], [])


def test_a_process_that_died_is_told(tap: AlertTap):
    tap.on_batch(of_the_process())
    end = ProcessEnd(PROCESS, "bot", 101, has_exited_cleanly=False, resource=RESOURCE)
    tap.on_end(end)
    assert firing(tap) == [("ProcessDied", "agent")]


def test_the_next_agent_goes_on_with_what_fires(tap: AlertTap, home: Path, clock: Clock):
    tap.on_batch(logged("desk.halt"))
    tap.tick(clock.monotonic())
    tap.close()
    clock.now_s += 20
    later = AlertTap(home, {}, clock.wall, clock.monotonic)
    assert firing(later) == [("Halted", "agent")]
    clock.now_s += 61
    told = received(later.on_batch(logged("nothing")))
    later.tick(clock.monotonic())
    clock.now_s += 61
    later.tick(clock.monotonic())
    assert (told, firing(later)) == ([], [])
    later.close()


def test_the_checkpoint_tells_people_what_fires(tap: AlertTap, home: Path, clock: Clock):
    tap.on_batch(logged("desk.halt"))
    tap.tick(clock.monotonic())
    kept = read_any(home / FILE)
    assert kept is not None
    assert [(one["rule"], one["evaluator"]) for one in kept.state["status"]["firing"]] == [
        ("Halted", "agent")
    ]
    json.dumps(kept.state)


def test_what_became_of_notices_is_counted(home: Path, tmp_path: Path, clock: Clock, webhook: str):
    (tmp_path / "alerts.toml").write_text(f"{RULES}[notifiers.hook]\ntype = 'webhook'\nurl = '{webhook}'\n")
    tap = AlertTap(home, {}, clock.wall, clock.monotonic)
    tap.on_batch(logged("desk.halt"))
    assert tap.station is not None
    deadline = time.monotonic() + 10
    while tap.station.delivery.statistics().waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    sink = MemorySink()
    for record in tap.tick(0.0) or ():
        sink.stream(record.stream).append(record.body, record.items)
    (metric,) = sink.telemetry().metrics
    (point,) = metric.points
    assert (metric.name, point.value, dict(point.attributes)) == (
        names.ALERT_NOTIFICATIONS,
        1,
        {names.ALERT_NOTIFIER: "hook"},
    )
    assert metric.resource["service.name"] == "tickspan-agent"
    tap.close()


def test_without_a_rule_file_it_waits_for_one(tmp_path: Path, clock: Clock):
    rules = tmp_path / "later.toml"
    tap = AlertTap(tmp_path, {"TICKSPAN_ALERTS_FILE": str(rules)}, clock.wall, clock.monotonic)
    assert (tap.on_batch(logged("desk.halt")), tap.tick(0.0)) == (None, None)
    rules.write_text(RULES)
    clock.now_s = 2.0
    tap.tick(2.0)
    assert states(received(tap.on_batch(logged("desk.halt")))) == [("Halted", "firing")]
    tap.close()
