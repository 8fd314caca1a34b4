"""Alerts: states over time, why they fired, and targets computed as rules do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tickspan_desk.store.reading import LogEntry
from tickspan_desk.views.alerts import (
    SILENT,
    SILENT_NS,
    TARGETS,
    ChangeLine,
    GroupValue,
    Segment,
    alert_view,
    alerts_of,
    expression_of,
    metrics_of,
    target_of,
)

from tickspan.alerts.file import read_rules
from tickspan.alerts.notice import Notice, NoticeState
from tickspan.analysis.rules.model import Rule
from tickspan.received import Attributes
from tickspan.semconv import alerts as names
from tickspan.semconv import cache, db, host, process
from tickspan.semconv.common import HOST_NAME

from .conftest import Make

LABELS = (("alertname", "Slow"), ("instance", "one"), ("job", "bot"), ("severity", "error"))


@pytest.fixture(scope="module")
def pack() -> Mapping[str, Rule]:
    rules, problems = read_rules("default")
    assert problems == ()
    return {rule.name: rule for rule in rules.rules}


def change(
    make: Make,
    number: int,
    at_s: float,
    previous: str,
    state: str,
    *,
    name: str = "Slow",
    fingerprint: str = "f1",
    evaluator: str = "process",
    value: float | None = 0.25,
    resource: Attributes | None = None,
) -> LogEntry:
    told: dict[str, str | float] = {
        names.ALERT_NAME: name,
        names.ALERT_STATE: state,
        names.ALERT_PREVIOUS_STATE: previous,
        names.ALERT_THRESHOLD: 0.1,
        names.ALERT_SCOPE: "process",
        names.ALERT_SEVERITY: "error",
        names.ALERT_EVALUATOR: evaluator,
        names.ALERT_FINGERPRINT: fingerprint,
    }
    if value is not None:
        told[names.ALERT_VALUE] = value
    if state == "firing":
        notes = {"summary": "It is slow.", "runbook_url": "runbooks/Slow.md"}
        notice = Notice(name, LABELS, NoticeState.FIRING, 0.0, unit="s", annotations=notes)
        told[names.ALERT_NOTICE] = notice.to_json()
    return make.event(
        number,
        names.EVENT_STATE_CHANGE,
        at_s,
        told,
        f"{name} {state}",
        resource=resource,
        trace_id=make.trace,
    )


def test_an_alert_is_pending_then_fires_then_is_quiet_again(make: Make) -> None:
    entries = [
        change(make, 3, 40, "firing", "inactive"),
        change(make, 2, 20, "pending", "firing"),
        change(make, 1, 10, "inactive", "pending"),
    ]
    (rule,) = alerts_of(entries, make.window(0, 60)).rules
    (strip,) = rule.strips
    assert strip.segments == (
        Segment(make.at(0), make.at(10), "inactive"),
        Segment(make.at(10), make.at(20), "pending"),
        Segment(make.at(20), make.at(40), "firing"),
        Segment(make.at(40), make.at(60), "inactive"),
    )
    assert strip.changes[1] == ChangeLine(
        make.at(20), "pending", "firing", "Slow firing", "250 ms", "100 ms", make.trace
    )
    assert strip.labels == (("instance", "one"), ("job", "bot"))
    assert (strip.summary, strip.runbook) == ("It is slow.", "runbooks/Slow.md")
    assert (rule.state, rule.severity, rule.fired, rule.firing) == ("inactive", "error", 1, 0)
    assert (rule.last_ns, rule.sentence) == (make.at(40), "Slow inactive")


def test_what_fired_before_the_range_still_fires_in_it(make: Make) -> None:
    entries = [change(make, 1, -100, "pending", "firing")]
    (rule,) = alerts_of(entries, make.window(0, 60)).rules
    assert rule.strips[0].segments == (Segment(make.at(0), make.at(60), "firing"),)
    assert (rule.state, rule.fired) == ("firing", 0)


def test_what_ended_before_the_range_is_not_told(make: Make) -> None:
    entries = [change(make, 2, -50, "firing", "inactive"), change(make, 1, -100, "pending", "firing")]
    assert alerts_of(entries, make.window(0, 60)).rules == ()


def test_the_same_alert_of_two_evaluators_fires_once(make: Make) -> None:
    entries = [
        change(make, 1, 10, "inactive", "firing", evaluator="process"),
        change(make, 2, 11, "inactive", "firing", evaluator="agent"),
        change(make, 3, 12, "inactive", "pending", fingerprint="f2"),
    ]
    (rule,) = alerts_of(entries, make.window()).rules
    assert (rule.firing, rule.pending, rule.alerts, rule.fired, len(rule.strips)) == (1, 1, 2, 1, 3)


def test_firing_rules_come_first(make: Make) -> None:
    entries = [
        change(make, 1, 10, "inactive", "firing", name="B"),
        change(make, 2, 11, "firing", "inactive", name="C"),
        change(make, 3, 12, "inactive", "pending", name="A"),
    ]
    assert [rule.name for rule in alerts_of(entries, make.window()).rules] == ["B", "A", "C"]


def test_an_alert_whose_process_tells_no_more_is_silent(make: Make) -> None:
    entries = [change(make, 1, 10, "inactive", "firing", resource=make.resource(instance="gone"))]
    quiet_s = SILENT_NS / make.second_ns
    window = make.window(0, 31 + quiet_s)
    (rule,) = alerts_of(entries, window, heard={"gone": make.at(30)}).rules
    assert rule.strips[0].segments == (
        Segment(make.at(0), make.at(10), "inactive"),
        Segment(make.at(10), make.at(30), "firing"),
        Segment(make.at(30), window.until_ns, SILENT),
    )
    (rule,) = alerts_of(entries, window, heard={"gone": make.at(31)}).rules
    assert rule.state == "firing"


def test_missing_data_and_foreign_states_are_survived(make: Make) -> None:
    entries = [change(make, 1, 10, "nonsense", "firing", value=None)]
    (rule,) = alerts_of(entries, make.window()).rules
    assert rule.strips[0].changes[0].value == "no data"
    assert rule.strips[0].changes[0].previous == "inactive"


def test_one_rule_has_its_expression_where_the_pack_knows_it(make: Make, pack: Mapping[str, Rule]) -> None:
    entries = [change(make, 1, 10, "inactive", "firing", name="ApiLatencyTarget")]
    view = alert_view("ApiLatencyTarget", entries, make.window(), pack["ApiLatencyTarget"])
    assert view is not None
    assert (
        view.expression == "p95 of http.server.request.duration over 5 min by http.route > 100 ms for 1 min"
    )
    assert alert_view("Other", entries, make.window()) is None


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        (
            "OrderStateUnknown",
            (
                "last of trading.order.open_unknown over 1 min by trading.venue.name, "
                "trading.venue.environment, trading.strategy.id > 0 for 5 s"
            ),
        ),
        ("ProcessDied", "log tickspan.process_died within 5 min by tickspan.service >= 1"),
        (
            "CpuTarget",
            (
                "system.cpu.time where cpu.mode is not idle or iowait / system.cpu.time, increase over "
                "5 min > 70 % for 5 min"
            ),
        ),
    ],
)
def test_a_rule_reads_as_words(pack: Mapping[str, Rule], name: str, expression: str) -> None:
    assert expression_of(pack[name]) == expression


def test_the_missions_targets_are_in_the_pack(pack: Mapping[str, Rule]) -> None:
    assert set(TARGETS) <= set(pack)
    goals = {name: target_of(pack[name], [], 0).goal for name in TARGETS}
    assert goals == {
        "ApiLatencyTarget": "p95 below 100 ms",
        "QueryLatencyTarget": "p95 below 50 ms",
        "ProcessMemoryTarget": "avg below 2 GiB",
        "CacheHitTarget": "above 80 %",
        "CpuTarget": "below 70 %",
    }


def test_a_target_without_data_says_what_it_needs(make: Make, pack: Mapping[str, Rule]) -> None:
    target = target_of(pack["QueryLatencyTarget"], [], make.at(0))
    assert (target.state, target.groups, target.alert) == ("no data", (), "inactive")
    assert target.reason == "Needs db.client.operation.duration, 20 measurements or more, within 5 min."


def queries(make: Make, counts: tuple[int, ...], until_s: int = 600):
    points = [
        make.explicit(at, (0.01, 0.1, 1.0), tuple(at // 10 * count for count in counts))
        for at in range(10, until_s + 1, 10)
    ]
    return make.series(
        points,
        name=db.DB_CLIENT_OPERATION_DURATION,
        kind="histogram",
        unit="s",
        attributes={db.DB_SYSTEM_NAME: "sqlite", db.DB_NAMESPACE: "bot.db"},
    )


def test_a_target_that_is_met(make: Make, pack: Mapping[str, Rule]) -> None:
    target = target_of(pack["QueryLatencyTarget"], [queries(make, (10, 0, 0, 0))], make.at(600))
    assert (target.state, target.alert) == ("met", "inactive")
    assert target.groups == (
        GroupValue("db_namespace=bot.db, db_system_name=sqlite, job=bot", "9.5 ms", is_met=True),
    )


def test_a_target_that_is_missed_for_long_enough_fires(make: Make, pack: Mapping[str, Rule]) -> None:
    target = target_of(pack["QueryLatencyTarget"], [queries(make, (1, 0, 9, 0))], make.at(600))
    assert (target.state, target.alert) == ("missed", "firing")
    assert [group.is_met for group in target.groups] == [False]


def test_too_few_measurements_are_no_data(make: Make, pack: Mapping[str, Rule]) -> None:
    points = [make.explicit(at, (1.0,), (at // 100, 0)) for at in range(100, 601, 100)]
    series = make.series(points, name=db.DB_CLIENT_OPERATION_DURATION, kind="histogram", unit="s")
    assert target_of(pack["QueryLatencyTarget"], [series], make.at(600)).state == "no data"


def test_delta_points_are_added_up_for_rules(make: Make, pack: Mapping[str, Rule]) -> None:
    points = [make.explicit(at, (0.01, 0.1), (1, 9, 0)) for at in range(10, 601, 10)]
    series = make.series(
        points, name=db.DB_CLIENT_OPERATION_DURATION, kind="histogram", temporality="delta", unit="s"
    )
    exponential = make.series(
        [make.exponential(at, 3, -40, (10,)) for at in range(10, 601, 10)],
        name=db.DB_CLIENT_OPERATION_DURATION,
        kind="exponential_histogram",
        temporality="delta",
        unit="s",
        attributes={db.DB_SYSTEM_NAME: "redis"},
    )
    target = target_of(pack["QueryLatencyTarget"], [series, exponential], make.at(600))
    assert [group.is_met for group in target.groups] == [False, True]


def test_memory_and_cpu_and_caches_are_judged_by_group(make: Make, pack: Mapping[str, Rule]) -> None:
    usage = make.series(
        [make.value(at, 3 << 30) for at in range(0, 601, 10)],
        name=process.PROCESS_MEMORY_USAGE,
        kind="sum",
        is_monotonic=False,
        unit="By",
    )
    target = target_of(pack["ProcessMemoryTarget"], [usage], make.at(600))
    assert (target.state, target.groups[0].value, target.alert) == ("missed", "3 GiB", "firing")

    def cpu(mode: str, share: float):
        return make.series(
            [make.value(at, at * share) for at in range(0, 601, 10)],
            name=host.SYSTEM_CPU_TIME,
            kind="sum",
            unit="s",
            attributes={host.CPU_MODE: mode},
            resource=make.resource("tickspan-agent", **{HOST_NAME: "vm"}),
        )

    target = target_of(pack["CpuTarget"], [cpu("user", 0.25), cpu("idle", 0.75)], make.at(600))
    assert (target.state, target.groups) == ("met", (GroupValue("host_name=vm", "25 %", is_met=True),))

    def gets(result: str, share: float):
        return make.series(
            [make.value(at, int(at * share)) for at in range(0, 601, 10)],
            name=cache.CACHE_REQUESTS,
            kind="sum",
            unit="{request}",
            attributes={
                cache.CACHE_NAME: "quotes",
                cache.CACHE_LEVEL: "memory",
                cache.CACHE_OPERATION: "get",
                cache.CACHE_RESULT: result,
            },
        )

    target = target_of(pack["CacheHitTarget"], [gets("hit", 0.5), gets("miss", 0.5)], make.at(600))
    assert (target.state, target.groups[0].value) == ("missed", "50 %")


def test_metrics_of_a_rule_are_named_once(pack: Mapping[str, Rule]) -> None:
    assert metrics_of(pack["CpuTarget"]) == (host.SYSTEM_CPU_TIME,)
    assert metrics_of(pack["ProcessDied"]) == ()
