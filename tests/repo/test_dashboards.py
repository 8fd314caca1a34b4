"""Dashboards ask only for what there is, and look as a person would have laid them out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import promql_parser
import pytest

from scripts.dashboards.__main__ import written
from scripts.dashboards.board import COLUMNS, Board, document, panels_of
from scripts.dashboards.boards import BOARDS
from scripts.dashboards.queries import level, quantile, rate
from tickspan.analysis.rules.naming import prometheus_label, prometheus_name
from tickspan.analysis.rules.readings import PointKind
from tickspan.semconv.catalogue import METRICS, Metric

_OF_EVERY_SERIES = {"job", "instance", "host_name"}
_NOT_OURS = {
    "ALERTS": {"alertname", "alertstate", "severity", "job"},
    "slo:sli_error:ratio_rate1h": {"sloth_id", "sloth_service", "sloth_slo"},
    "slo:sli_error:ratio_rate6h": {"sloth_id", "sloth_service", "sloth_slo"},
    "slo:error_budget:ratio": {"sloth_id", "sloth_service", "sloth_slo"},
}
"""Series that Prometheus makes itself, from alerting and recording rules."""


@pytest.fixture(params=BOARDS, ids=lambda board: board.name)
def board(request: pytest.FixtureRequest) -> Board:
    return request.param


def labels_of_series() -> Mapping[str, set[str]]:
    """Every series that the catalogue's metrics can become, with the labels it may have."""
    known: dict[str, set[str]] = {}
    for metric in METRICS.values():
        labels = {prometheus_label(name) for name in metric.attributes} | _OF_EVERY_SERIES
        for name in names_of(metric):
            known[name] = labels
    return {**known, **_NOT_OURS}


def names_of(metric: Metric) -> Iterator[str]:
    kinds = {"counter": PointKind.COUNTER, "histogram": PointKind.HISTOGRAM}
    kind = kinds.get(metric.instrument, PointKind.GAUGE)
    name = prometheus_name(metric.name, metric.unit, kind, is_sum=metric.instrument == "updowncounter")
    yield name
    if metric.name.startswith("otelcol_"):  # these are no names of OpenTelemetry's: they stay as they are
        yield from (metric.name, f"{metric.name}_total")
    if metric.instrument == "histogram":
        yield from (f"{name}_{part}" for part in ("bucket", "count", "sum"))


def expressions(board: Board) -> Iterator[str]:
    for panel in panels_of(document(board)):
        for target in panel["targets"]:
            yield re.sub(r"\$__(rate_interval|range)", "1m", target["expr"])


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that an expression asks for, with the labels that it wants of it."""
    for node in walk(promql_parser.parse(expression)):
        if isinstance(node, promql_parser.VectorSelector):
            wanted = {matcher.name for matcher in node.matchers.matchers}
            names = [node.name] if node.name else []
            names += [
                matcher.value.removesuffix("(_total)?")
                for matcher in node.matchers.matchers
                if matcher.name == "__name__"
            ]
            for name in names:
                yield name, wanted - {"__name__"}


def walk(node: Any) -> Iterator[Any]:
    yield node
    for part in ("expr", "lhs", "rhs", "param", "vector_selector"):
        inner = getattr(node, part, None)
        if inner is not None:
            yield from walk(inner)
    for argument in getattr(node, "args", None) or ():
        yield from walk(argument)


def test_series_are_found_wherever_they_stand_in_an_expression() -> None:
    expression = (
        'histogram_quantile(0.5, sum by (le) (rate(a_bucket{x="1"}[1m]))) or topk(3, b / (max(c) > 0))'
    )
    assert dict(selected(expression)) == {"a_bucket": {"x"}, "b": set(), "c": set()}


def test_the_committed_files_are_what_the_builder_makes() -> None:
    for path, text in written().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run 'make dashboards'"
    folder = next(iter(written())).parent
    assert {path.name for path in folder.glob("*.json")} == {path.name for path in written()}


def test_no_two_dashboards_share_an_address_or_a_title() -> None:
    documents = [document(board) for board in BOARDS]
    assert (
        len({made["uid"] for made in documents}) == len({made["title"] for made in documents}) == len(BOARDS)
    )


def test_panels_have_ids_of_their_own_and_do_not_overlap(board: Board) -> None:
    panels = document(board)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    overlapping = [
        (one, other)
        for one, other in combinations(places, 2)
        if one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    ]
    assert overlapping == []


def test_each_panel_has_a_title_an_explanation_and_a_source_by_choice(board: Board) -> None:
    for panel in panels_of(document(board)):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${metrics}"}


def test_durations_lead_to_traces(board: Board) -> None:
    for panel in panels_of(document(board)):
        has_exemplars = any(target["exemplar"] for target in panel["targets"])
        links = panel["fieldConfig"]["defaults"]["links"]
        assert bool(links) == has_exemplars
        assert has_exemplars == any("_bucket" in target["expr"] for target in panel["targets"])


def test_every_expression_parses_and_asks_for_series_of_the_catalogue(board: Board) -> None:
    known = labels_of_series()
    asked = [(name, labels) for expression in expressions(board) for name, labels in selected(expression)]
    assert asked
    assert [name for name, _ in asked if name not in known] == []
    assert [(name, labels - known[name]) for name, labels in asked if labels - known[name]] == []


def test_every_trading_metric_is_on_a_dashboard() -> None:
    shown = {
        name for board in BOARDS for expression in expressions(board) for name, _ in selected(expression)
    }
    missing = {
        metric.name
        for metric in METRICS.values()
        if metric.name.startswith("trading.") and shown.isdisjoint(names_of(metric))
    }
    assert missing == {"trading.rate_limit.reset_in"}


def test_a_metric_or_an_attribute_that_is_not_there_cannot_be_shown() -> None:
    with pytest.raises(KeyError, match=r"trading\.order\.operation'$"):
        rate("trading.order.operation")
    with pytest.raises(ValueError, match=r"has no attribute trading\.nothing; it has"):
        rate("trading.order.operations", "trading.nothing")
    with pytest.raises(ValueError, match="expected a gauge or updowncounter, got a counter"):
        level("trading.order.operations")
    with pytest.raises(ValueError, match=r"expected a histogram, got a gauge"):
        quantile("trading.order.open", 0.5)
