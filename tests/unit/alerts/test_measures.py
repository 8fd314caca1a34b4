"""What the agent measures of alerts itself: told when it changes, and sessions every ten seconds."""

from __future__ import annotations

from collections.abc import Iterable

from tickspan_spool.taps import Finding

from tickspan.alerts.measures import AgentMeasures
from tickspan.alerts.notifiers.channel import ChannelStatistics
from tickspan.alerts.notifiers.delivery import DeliveryStatistics
from tickspan.analysis.rules.calendars import Calendar
from tickspan.testing.sink import MemorySink

START_NS = 1_700_000_000 * 10**9
US = {"us": Calendar("us", (100.0, 300.0), (200.0, 400.0))}
NOBODY = DeliveryStatistics(channels=(), waiting=0, dropped=0, dropped_waiting=0, firing=0)


def told(records: Iterable[Finding]) -> list[tuple[str, dict[str, object], float | None]]:
    sink = MemorySink()
    for record in records:
        sink.stream(record.stream).append(record.body, record.items)
    return [
        (metric.name, dict(point.attributes), point.value)
        for metric in sink.telemetry().metrics
        for point in metric.points
    ]


def test_a_session_is_told_when_it_opens_and_closes_and_every_ten_seconds() -> None:
    measures = AgentMeasures(START_NS)
    seen = [
        (wall_s, value)
        for wall_s in (90.0, 95.0, 100.0, 105.0, 110.0, 199.0, 200.0)
        for _, _, value in told(measures.records("p", NOBODY, US, wall_s))
    ]
    assert seen == [(90.0, 0), (100.0, 1), (110.0, 1), (199.0, 1), (200.0, 0)]
    name, attributes, _ = told(AgentMeasures(START_NS).records("p", NOBODY, US, 150.0))[0]
    assert (name, attributes) == ("tickspan.session.open", {"tickspan.session.name": "us"})


def test_without_a_calendar_there_is_no_session() -> None:
    assert told(AgentMeasures(START_NS).records("p", NOBODY, {}, 150.0)) == []


def test_notices_are_counted_by_notifier_and_told_when_their_number_changes() -> None:
    measures = AgentMeasures(START_NS)
    channels = (ChannelStatistics("pager/0", sent=2), ChannelStatistics("pager/1", sent=1, dropped=1))
    some = DeliveryStatistics(channels, waiting=0, dropped=1, dropped_waiting=3, firing=0)
    assert told(measures.records("p", some, {}, 1.0)) == [
        ("tickspan.alert.notifications", {"tickspan.alert.notifier": "pager"}, 3),
        ("tickspan.alert.notifications.dropped", {"tickspan.alert.notifier": "pager"}, 1),
        ("tickspan.alert.notifications.dropped", {}, 3),
    ]
    assert told(measures.records("p", some, {}, 2.0)) == []
