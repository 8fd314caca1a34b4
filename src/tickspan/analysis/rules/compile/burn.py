"""The burn rate: recording rules for an objective, and the expression that compares them.

Names and labels of the records are those of sloth, an SLO generator, so that dashboards made for it work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tickspan.analysis.rules.compile.promql import Series, duration, group_labels, number, quoted, series_of
from tickspan.analysis.rules.facts import MetricFact
from tickspan.analysis.rules.model import Burn, Rule, Stat, StatName

__all__ = ["ERROR_RATIO", "burning", "error_ratio", "record_groups", "windows_of"]

ERROR_RATIO: Final = "slo:sli_error:ratio_rate"
_OBJECTIVE: Final = "slo:objective:ratio"
_BUDGET: Final = "slo:error_budget:ratio"
_PERIOD_DAYS: Final = "slo:time_period:days"
_CURRENT_BURN: Final = "slo:current_burn_rate:ratio"
_PERIOD_BURN: Final = "slo:period_burn_rate:ratio"
_BUDGET_LEFT: Final = "slo:period_error_budget_remaining:ratio"
_INFO: Final = "sloth_slo_info"
_WINDOW_LABEL: Final = "sloth_window"
_ID_LABELS: Final = "sloth_id, sloth_slo, sloth_service"
_SHORTEST_S: Final = 300.0
"""Sloth's records over the period are made of those over five minutes."""
_DAY_S: Final = 86_400.0


def windows_of(burn: Burn) -> tuple[float, ...]:
    """The lengths over which error ratios are recorded, shortest first."""
    return tuple(
        sorted({_SHORTEST_S, *(length for pair in burn.windows for length in (pair.long_s, pair.short_s))})
    )


def error_ratio(rule: Rule, burn: Burn, metrics: Mapping[str, MetricFact], window_s: float) -> str:
    """The share of bad events in a window; nothing where there was no event."""
    total = series_of(burn.total, metrics[burn.total.metric], rule)
    if burn.slower_than is not None:
        return total.slower(burn.slower_than, window_s)
    selector = burn.errors or burn.good
    assert selector is not None
    judged = _increase(series_of(selector, metrics[selector.metric], rule), window_s)
    everything = _increase(total, window_s)
    ratio = f"({judged} or {everything} * 0) / ({everything} > 0)"
    return f"clamp({ratio if burn.errors else f'1 - {ratio}'}, 0, 1)"


def burning(
    rule: Rule, burn: Burn, metrics: Mapping[str, MetricFact], threshold: float, *, is_recorded: bool
) -> str:
    """Groups that burn the budget more than `threshold` times as fast as one of the pairs of windows allows.

    Args:
        rule: of the alert.
        burn: its expression.
        metrics: that it reads.
        threshold: 1, or what the rule has instead.
        is_recorded: the recording rules are there.
    """
    budget = 1.0 - burn.objective
    total = series_of(burn.total, metrics[burn.total.metric], rule)
    pairs: list[str] = []
    for pair in burn.windows:
        limit = number(float(f"{threshold * pair.factor * budget:.12g}"))
        long, short = (
            _recorded(rule, burn, length) if is_recorded else f"({error_ratio(rule, burn, metrics, length)})"
            for length in (pair.long_s, pair.short_s)
        )
        sign = rule.condition.sign
        parts = [f"{long} {sign} {limit}", f"{short} {sign} {limit}"]
        if rule.min_count:
            parts.append(f"{total.count(pair.short_s)} >= {rule.min_count}")
        pairs.append("(\n  " + "\n  and\n  ".join(parts) + "\n)")
    return "\nor\n".join(pairs)


def record_groups(rule: Rule, burn: Burn, metrics: Mapping[str, MetricFact]) -> list[dict[str, Any]]:
    """The groups of recording rules of an objective."""
    ids = ids_of(burn)
    selector = _selector(burn)
    period = duration(burn.period_s)
    shortest = f"{ERROR_RATIO}{duration(_SHORTEST_S)}{selector}"
    ratios = [
        _record(
            f"{ERROR_RATIO}{duration(length)}",
            error_ratio(rule, burn, metrics, length),
            {**ids, _WINDOW_LABEL: duration(length)},
        )
        for length in windows_of(burn)
    ]
    total, count = (f"{name}({shortest}[{period}])" for name in ("sum_over_time", "count_over_time"))
    over_period = f"{total}\n/ ignoring ({_WINDOW_LABEL})\n{count}"
    by_budget = f"/ on ({_ID_LABELS}) group_left\n{_BUDGET}{selector}"
    objective = number(burn.objective)
    facts = (
        (_OBJECTIVE, f"vector({objective})"),
        (_BUDGET, f"vector(1 - {objective})"),
        (_PERIOD_DAYS, f"vector({number(burn.period_s / _DAY_S)})"),
        (_CURRENT_BURN, f"{shortest}\n{by_budget}"),
        (_PERIOD_BURN, f"{ERROR_RATIO}{period}{selector}\n{by_budget}"),
        (_BUDGET_LEFT, f"1 - {_PERIOD_BURN}{selector}"),
    )
    info = {**ids, "sloth_mode": "tickspan", "sloth_objective": f"{burn.objective * 100:.10g}"}
    return [
        {
            "name": f"sloth-slo-sli-recordings-{ids['sloth_id']}",
            "rules": [
                *ratios,
                _record(f"{ERROR_RATIO}{period}", over_period, {**ids, _WINDOW_LABEL: period}),
            ],
        },
        {
            "name": f"sloth-slo-meta-recordings-{ids['sloth_id']}",
            "rules": [*(_record(name, expr, ids) for name, expr in facts), _record(_INFO, "vector(1)", info)],
        },
    ]


def ids_of(burn: Burn) -> dict[str, str]:
    """The labels that name the objective."""
    return {"sloth_id": f"{burn.service}-{burn.slo}", "sloth_service": burn.service, "sloth_slo": burn.slo}


def _recorded(rule: Rule, burn: Burn, window_s: float) -> str:
    by = ", ".join(group_labels(rule))
    return f"max by ({by}) ({ERROR_RATIO}{duration(window_s)}{_selector(burn)})"


def _selector(burn: Burn) -> str:
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in ids_of(burn).items()) + "}"


def _increase(series: Series, window_s: float) -> str:
    return series.statistic(Stat(StatName.INCREASE), window_s)


def _record(name: str, expression: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"record": name, "expr": expression, "labels": dict(labels)}
