"""Alerts, error budgets, and the rules themselves."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, WARN
from scripts.dashboards.queries import Query, level, quantile, rate

__all__ = ["BOARD"]

_ALERTS_FIRING = 'ALERTS{alertstate="firing"}'
BOARD: Final = Board(
    "alerts",
    "alerts and SLO budget",
    "What fires, what fired, and how fast error budgets burn.",
    (
        Section(
            "Alerts",
            (
                Panel(
                    "Firing",
                    (Query(f"sum by (alertname, severity, job) ({_ALERTS_FIRING})", is_instant=True),),
                    "As Prometheus sees it, by rules of the same file as agent and gateway.",
                    "table",
                    width=12,
                ),
                Panel(
                    "As evaluators see it",
                    (
                        level(
                            "tickspan.alert.active",
                            "tickspan.alert.name",
                            "tickspan.alert.evaluator",
                            how="max",
                        ),
                    ),
                    "Active alerts by rule and evaluator. Processes come first, gateways later.",
                    width=12,
                ),
                Panel(
                    "Timeline",
                    (Query(f"max by (alertname) ({_ALERTS_FIRING})", "{{alertname}}"),),
                    "When each alert fired.",
                    "state-timeline",
                    width=24,
                ),
            ),
        ),
        Section(
            "Error budgets",
            (
                Panel(
                    "Burn rate, one hour",
                    (
                        Query(
                            "slo:sli_error:ratio_rate1h / on (sloth_id) group_left () slo:error_budget:ratio",
                            "{{sloth_service}} {{sloth_slo}}",
                        ),
                    ),
                    "1 uses the budget up at the period's end; 14.4 pages.",
                    width=12,
                    limits=(Limit(1, WARN), Limit(14.4, BAD)),
                ),
                Panel(
                    "Burn rate, six hours",
                    (
                        Query(
                            "slo:sli_error:ratio_rate6h / on (sloth_id) group_left () slo:error_budget:ratio",
                            "{{sloth_service}} {{sloth_slo}}",
                        ),
                    ),
                    "Above 6 it pages.",
                    width=12,
                    limits=(Limit(1, WARN), Limit(6, BAD)),
                ),
            ),
        ),
        Section(
            "The rules themselves",
            (
                Panel(
                    "Rules",
                    (level("tickspan.alert.rules", "state", "tickspan.alert.evaluator", how="max"),),
                    "Invalid ones are left out.",
                ),
                Panel(
                    "Evaluation",
                    (quantile("tickspan.alert.rule.evaluation.duration", 0.99, "tickspan.alert.evaluator"),),
                    "How long all rules take, once a second.",
                ),
                Panel(
                    "Notifications",
                    (
                        rate("tickspan.alert.notifications", "tickspan.alert.notifier"),
                        rate("tickspan.alert.notifications.dropped", "tickspan.alert.notifier"),
                    ),
                    "Sent, and dropped because a queue was full.",
                ),
            ),
        ),
    ),
)
