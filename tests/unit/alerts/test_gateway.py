"""The gateway with a clock of the test's: what it takes, when it evaluates, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tickspan_spool.receiver import Batch

from tickspan.alerts.file import RuleFileError
from tickspan.alerts.gateway import Gateway, GatewayStatistics, Listen, ListenError
from tickspan.alerts.journal import Journal, Request
from tickspan.alerts.notice import Notice

RULES = """
version = 1
[metrics."desk.queue"]
kind = "gauge"
[[rules]]
name = "LongQueue"
metric = "desk.queue"
stat = "last"
window = "30s"
threshold = 10
[[rules]]
name = "Halted"
kind = "event"
event = "desk.halt"
window = "10s"
"""
START_S = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now_s = START_S

    def wall(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s - START_S + 50.0


Make = Callable[..., Gateway]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[Notice]:
    return []


@pytest.fixture
def make(tmp_path: Path, clock: Clock, told: list[Notice]) -> Iterator[Make]:
    """Makes gateways that listen nowhere; they are closed at the end."""
    made: list[Gateway] = []
    rules = tmp_path / "alerts.toml"
    rules.write_text(RULES)

    def make_it(folder: Path | None = None, **more: Any) -> Gateway:
        gateway = Gateway(
            rules,
            Listen("127.0.0.1", 0),
            folder,
            environ={},
            wall=clock.wall,
            clock=clock.monotonic,
            on_word=told.append,
            **more,
        )
        made.append(gateway)
        return gateway

    yield make_it
    for gateway in made:
        gateway.close()


def gauge(value: float, at_s: float, instance: str = "one", **attributes: str) -> Batch:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for name, text in (("service.name", "bot"), ("service.instance.id", instance)):
        group.resource.attributes.add(key=name).value.string_value = text
    metric = group.scope_metrics.add().metrics.add(name="desk.queue")
    point = metric.gauge.data_points.add(as_double=value, time_unix_nano=round(at_s * 1e9))
    for name, text in attributes.items():
        point.attributes.add(key=name).value.string_value = text
    return Batch("metrics", request, request.SerializeToString(), {}, 1)


def log(name: str, instance: str = "one") -> Batch:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for key, text in (("service.name", "bot"), ("service.instance.id", instance)):
        group.resource.attributes.add(key=key).value.string_value = text
    group.scope_logs.add().log_records.add(event_name=name)
    return Batch("logs", request, request.SerializeToString(), {}, 1)


def told_of(told: list[Notice]) -> list[tuple[str, str, str]]:
    return [(one.rule, one.state.value, one.reason) for one in told]


def pass_time(gateway: Gateway, clock: Clock, seconds: float) -> None:
    ends_at_s = clock.now_s + seconds
    while clock.now_s < ends_at_s:
        clock.now_s += 0.25
        gateway.step()


def test_a_point_is_looked_at_two_seconds_after_its_time(make: Make, clock: Clock, told: list[Notice]):
    gateway = make()
    assert gateway._answer(gauge(11, clock.now_s)) is None
    pass_time(gateway, clock, 1.75)
    assert told == []
    pass_time(gateway, clock, 0.25)
    assert told_of(told) == [("LongQueue", "firing", "")]
    assert (told[0].starts_at_s, told[0].evaluator, told[0].owner) == (START_S, "gateway", "gateway")


def test_points_are_looked_at_in_the_order_of_their_time(make: Make, clock: Clock, told: list[Notice]):
    gateway = make()
    gateway._answer(gauge(3, clock.now_s + 0.5, "two"))
    gateway._answer(gauge(11, clock.now_s, "one"))
    pass_time(gateway, clock, 3)
    gateway._answer(gauge(3, clock.now_s - 1.0, "one"))
    pass_time(gateway, clock, 3)
    assert told_of(told) == [("LongQueue", "firing", ""), ("LongQueue", "resolved", "")]


def test_points_of_the_future_are_refused_and_counted(make: Make, clock: Clock, told: list[Notice]):
    gateway = make()
    gateway._answer(gauge(11, clock.now_s + 61))
    pass_time(gateway, clock, 120)
    assert told == []
    assert gateway.statistics() == GatewayStatistics(ahead=1, series=1)


def test_a_series_too_many_is_answered_with_429_and_the_known_ones_count(
    make: Make, clock: Clock, told: list[Notice]
):
    gateway = make(most_series=1)
    assert gateway._answer(gauge(1, clock.now_s)) is None
    answer = gateway._answer(gauge(1, clock.now_s, book="other"))
    assert answer is not None
    assert (answer.status, dict(answer.headers)) == (429, {"Retry-After": "30"})
    assert gateway._answer(gauge(11, clock.now_s + 1)) is None
    pass_time(gateway, clock, 4)
    assert told_of(told) == [("LongQueue", "firing", "")]
    assert gateway.statistics().refused == 1


def test_a_log_event_fires_and_the_death_of_a_process_ends_its_alerts(
    make: Make, clock: Clock, told: list[Notice]
):
    gateway = make()
    gateway._answer(gauge(11, clock.now_s))
    gateway._answer(log("desk.halt", "two"))
    gateway._answer(log("desk.other"))
    pass_time(gateway, clock, 3)
    gateway._answer(log("tickspan.process_died"))
    pass_time(gateway, clock, 3)
    assert told_of(told) == [
        ("LongQueue", "firing", ""),
        ("Halted", "firing", ""),
        ("LongQueue", "resolved", "gone"),
    ]


def test_the_next_gateway_goes_on_where_one_was_killed(
    make: Make, clock: Clock, told: list[Notice], tmp_path: Path
):
    first = make(tmp_path / "storage")
    first._answer(gauge(11, clock.now_s))
    pass_time(first, clock, 3)
    first._answer(log("desk.halt"))  # accepted, and nobody has looked at it yet
    first.station.delivery.close()
    clock.now_s += 5
    second = make(tmp_path / "storage")
    pass_time(second, clock, 3)
    assert told_of(told) == [("LongQueue", "firing", ""), ("Halted", "firing", "")]
    assert [one.rule for one in second.station.delivery.firing()] == ["LongQueue", "Halted"]


def test_a_changed_rule_file_is_read_and_a_broken_one_changes_nothing(
    make: Make, clock: Clock, told: list[Notice], tmp_path: Path, capsys: Any
):
    gateway = make()
    gateway._answer(gauge(11, clock.now_s))
    pass_time(gateway, clock, 3)
    rules = tmp_path / "alerts.toml"
    rules.write_text(RULES.replace("threshold = 10", "threshold = ten"))
    pass_time(gateway, clock, 3)
    assert told_of(told) == [("LongQueue", "firing", "")]
    assert "the rules stay as they were" in capsys.readouterr().err
    rules.write_text(RULES.replace('name = "LongQueue"', 'name = "DeepQueue"'))
    pass_time(gateway, clock, 3)
    assert told_of(told)[1:] == [("LongQueue", "resolved", "removed")]


def test_a_rule_file_with_a_mistake_starts_no_gateway(tmp_path: Path):
    rules = tmp_path / "alerts.toml"
    rules.write_text(RULES.replace("threshold = 10", 'threshold = "ten"'))
    with pytest.raises(RuleFileError, match=r"rules\[0\].threshold"):
        Gateway(rules, Listen("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("listen", "lacking"),
    [
        (Listen("0.0.0.0", 0), "expected TLS (--tls-cert) and --token-file, or 127.0.0.1"),
        (Listen("::", 0, token="t"), "expected TLS (--tls-cert), or 127.0.0.1"),
        (Listen("gateway.example", 0, Path("c.pem")), "expected --token-file, or 127.0.0.1"),
        (Listen("127.0.0.1", 0, Path("/none/c.pem")), "/none/c.pem: No such file or directory"),
    ],
)
def test_an_open_door_needs_a_lock(listen: Listen, lacking: str):
    with pytest.raises(ListenError) as caught:
        listen.checked()
    assert lacking in str(caught.value)


def test_two_gateways_that_get_the_same_fire_at_the_same_moment(make: Make, clock: Clock, told: list[Notice]):
    one = make()
    clock.now_s += 0.125
    two = make()
    for gateway in (one, two):
        gateway._answer(gauge(11, clock.now_s))
    for _ in range(30):
        clock.now_s += 0.1
        one.step()
        two.step()
    assert [notice.starts_at_s for notice in told] == [START_S + 0.5] * 2


def test_a_journal_is_cut_where_the_process_ended(tmp_path: Path):
    journal = Journal(tmp_path)
    first, second = Request(1.0, "logs", b"one"), Request(2.0, "metrics", b"two")
    journal.add(first)
    journal.turn()
    journal.add(second)
    journal.close()
    with (tmp_path / "alerts-journal").open("ab") as file:
        file.write(bytes(9))
    again = Journal(tmp_path)
    assert list(again.requests()) == [first, second]
    third = Request(3.0, "traces", b"three")
    again.add(third)
    assert list(again.requests()) == [first, second, third]
    again.turn()
    assert list(again.requests()) == [second, third]
    again.close()


def test_a_real_sender_is_received(make: Make, clock: Clock):
    from urllib.request import Request as Post
    from urllib.request import urlopen

    gateway = make()
    gateway.start()
    head = {"Content-Type": "application/x-protobuf"}
    body = gauge(1, clock.now_s).body
    with urlopen(Post(f"{gateway.endpoint}/v1/metrics", body, head), timeout=5) as answer:
        assert answer.status == 200
    assert gateway.statistics().readings == 1
    began_s = time.monotonic()
    gateway.close()
    assert time.monotonic() - began_s < 3.0
