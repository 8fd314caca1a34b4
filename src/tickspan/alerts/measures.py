"""The agent's own metrics of alerts: what became of notices, and which sessions are open."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from tickspan_spool.agent.semconv import AGENT_SERVICE
from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding as Record

from tickspan.alerts.notifiers.delivery import DeliveryStatistics
from tickspan.analysis.rules.calendars import Calendar
from tickspan.recording.wire import (
    CUMULATIVE,
    NUMBER_ATTRIBUTES,
    encode_attributes,
    encode_gauge,
    encode_resource,
    encode_scope,
    encode_sum,
)
from tickspan.semconv import alerts as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import HOST_NAME, PROCESS_PID, SERVICE_INSTANCE_ID, SERVICE_NAME
from tickspan.semconv.sessions import SESSION_NAME, SESSION_OPEN
from tickspan.version import __version__

__all__ = ["SCOPE", "AgentMeasures"]

SCOPE: Final = encode_scope("tickspan.alerts", __version__, {})
_COUNTERS: Final = (names.ALERT_NOTIFICATIONS, names.ALERT_NOTIFICATIONS_DROPPED)
_SESSIONS_EVERY_S: Final = 10.0
_NS_PER_S: Final = 1e9


class AgentMeasures:
    """Under a resource of the agent's own."""

    def __init__(self, start_ns: int) -> None:
        """Counting begins at `start_ns`, nanoseconds since 1970."""
        self._start_ns = start_ns
        self._counted: dict[str, dict[str, int]] = {}
        self._open: dict[str, int] = {}
        self._sessions_at_s = -math.inf
        resource = {
            SERVICE_NAME: AGENT_SERVICE,
            SERVICE_INSTANCE_ID: f"alerts-{os.getpid()}-{start_ns}",
            HOST_NAME: socket.gethostname(),
            PROCESS_PID: os.getpid(),
        }
        self._stream = StreamKey("metrics", encode_resource(resource), SCOPE)

    def __repr__(self) -> str:
        return f"<AgentMeasures {self._counted}, {len(self._open)} sessions>"

    def records(
        self, process: str, statistics: DeliveryStatistics, calendars: Mapping[str, Calendar], wall_s: float
    ) -> Iterator[Record]:
        """What has changed, and every ten seconds the sessions, for the destinations of a process."""
        now_ns = round(wall_s * _NS_PER_S)
        sums = _sums(statistics)
        if sums != self._counted:
            self._counted = sums
            for name, points in sums.items():
                if points:
                    yield Record(process, self._stream, self._sum(name, points, now_ns), len(points))
        is_open = {name: int(one.opened_at(wall_s) is not None) for name, one in calendars.items()}
        if is_open and (is_open != self._open or wall_s - self._sessions_at_s >= _SESSIONS_EVERY_S):
            self._open, self._sessions_at_s = is_open, wall_s
            yield Record(process, self._stream, _sessions(is_open, now_ns), len(is_open))

    def _sum(self, name: str, points: Mapping[str, int], now_ns: int) -> bytes:
        encoded = [
            (_attributes({names.ALERT_NOTIFIER: notifier} if notifier else {}), self._start_ns, number, None)
            for notifier, number in points.items()
        ]
        metric = METRICS[name]
        return encode_sum(name, metric.brief, metric.unit, now_ns, encoded, CUMULATIVE, is_monotonic=True)


def _sums(statistics: DeliveryStatistics) -> dict[str, dict[str, int]]:
    """Both counters, by notifier; "" is nobody's."""
    sums: dict[str, dict[str, int]] = {name: {} for name in _COUNTERS}
    for channel in statistics.channels:
        notifier = channel.name.partition("/")[0]
        for name, number in zip(_COUNTERS, (channel.sent, channel.dropped), strict=True):
            if number:
                sums[name][notifier] = sums[name].get(notifier, 0) + number
    if statistics.dropped_waiting:
        sums[names.ALERT_NOTIFICATIONS_DROPPED][""] = statistics.dropped_waiting
    return sums


def _sessions(is_open: Mapping[str, int], now_ns: int) -> bytes:
    """Rules that Prometheus evaluates cannot know a calendar: they ask this gauge."""
    points = [(_attributes({SESSION_NAME: name}), 0, number, None) for name, number in is_open.items()]
    metric = METRICS[SESSION_OPEN]
    return encode_gauge(metric.name, metric.brief, metric.unit, now_ns, points)


def _attributes(attributes: Mapping[str, str]) -> bytes:
    return encode_attributes(NUMBER_ATTRIBUTES, dict(attributes))
