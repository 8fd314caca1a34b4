"""The agent's report as the official protobuf classes read it."""

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ScopeMetrics
from tickspan_spool.agent.report import Counts, Report, Way, death_event, loss_event, metrics, total
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason


def _points(record: bytes) -> tuple[str, list[tuple[object, dict[str, str]]]]:
    (found,) = ScopeMetrics.FromString(record).metrics
    data = found.sum if found.HasField("sum") else found.gauge
    return found.name, [
        (
            point.as_double if point.HasField("as_double") else point.as_int,
            {attribute.key: attribute.value.string_value for attribute in point.attributes},
        )
        for point in data.data_points
    ]


def test_ledgers_add_up_by_signal_and_reason():
    one: Counts = {"traces": Ledger(5, 3, 1, {Reason.TORN: 1})}
    other: Counts = {"traces": Ledger(2, 0, 1, {Reason.TORN: 1}), "logs": Ledger(1, 1)}
    assert total([one, other]) == {
        "traces": Ledger(7, 3, 2, {Reason.TORN: 2}),
        "metrics": Ledger(),
        "logs": Ledger(1, 1),
    }


def test_a_report_is_ledger_size_age_breakers_and_exports():
    report = Report(
        {"traces": Ledger(5, 3, 1, {Reason.TORN: 1})},
        [Way("traces", "http://c/v1/traces", 3, {Reason.REJECTED: 2}, "open")],
        4096,
        1.5,
    )
    told = metrics(report, 1, 2)
    component = {
        "otel.component.name": "tickspan_agent/http://c/v1/traces",
        "otel.component.type": "tickspan_agent",
    }
    traces = {"tickspan.signal": "traces"}
    assert [_points(record) for record, _ in told] == [
        (
            "tickspan.ledger.records",
            [
                (5, {**traces, "tickspan.outcome": "ended"}),
                (3, {**traces, "tickspan.outcome": "delivered"}),
                (1, {**traces, "tickspan.outcome": "dropped", "tickspan.drop.reason": "torn"}),
            ],
        ),
        ("tickspan.spool.size", [(4096, {})]),
        ("tickspan.spool.oldest_age", [(1.5, {})]),
        ("tickspan.sender.breaker.state", [(3, {**traces, "tickspan.destination": "http://c/v1/traces"})]),
        ("otel.sdk.exporter.span.exported", [(3, component), (2, {**component, "error.type": "rejected"})]),
    ]
    assert [points for _, points in told] == [3, 1, 1, 1, 2]


def test_a_loss_names_what_was_lost_and_why():
    record = loss_event("bot", {"traces": {Reason.DISK_BOUND: 7, Reason.TORN: 0}}, 1)
    (found,) = ScopeLogs.FromString(record).log_records
    told = MessageToDict(found)
    assert (found.event_name, found.body.string_value) == (
        "tickspan.loss",
        "telemetry was lost: 7 traces (disk_bound)",
    )
    assert told["attributes"] == [
        {"key": "tickspan.service", "value": {"stringValue": "bot"}},
        {"key": "tickspan.lost.traces.disk_bound", "value": {"intValue": "7"}},
    ]


def test_a_death_names_the_process():
    (found,) = ScopeLogs.FromString(death_event("bot", 4711, 1)).log_records
    assert (found.event_name, found.body.string_value) == (
        "tickspan.process_died",
        "process 4711 of service 'bot' died without a clean exit",
    )
