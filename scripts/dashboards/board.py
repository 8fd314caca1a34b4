"""A dashboard as Grafana's classic JSON (schema 41): panels in rows of 24 columns, ids by position."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.dashboards.queries import Query

__all__ = ["Board", "Kind", "Limit", "Panel", "Section", "Variable", "document"]

COLUMNS: Final = 24
_SCHEMA: Final = 41
_METRICS: Final = {"type": "prometheus", "uid": "${metrics}"}
_TRACES: Final = "${traces}"
_UNITS: Final[Mapping[str, str]] = {
    "s": "s",
    "By": "bytes",
    "By/s": "Bps",
    "1": "percentunit",
    "cores": "none",
    "%": "percent",
    "": "short",
}
"""Grafana's names of units. What stands in braces is a count."""

Kind = str
"""Grafana's type of a panel: `timeseries`, `stat`, `heatmap`, `table`, `bargauge`, `state-timeline`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A value from which on a panel shows another colour."""

    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        title: in a few words.
        queries: what is shown.
        about: what it means and what is normal; shown on the panel's "i".
        kind: of the picture.
        width: of 24 columns.
        height: in Grafana's rows of 30 pixels.
        limits: ascending; below the first one all is well.
        is_stacked: whether areas stand on one another.
        options: Grafana's own of this kind.
    """

    title: str
    queries: tuple[Query, ...]
    about: str
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    limits: tuple[Limit, ...] = ()
    is_stacked: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Section:
    """Panels below a title, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels: the values of a label."""

    name: str
    label: str
    question: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard.

    Attributes:
        name: of its file, and the end of its address.
        title: as people see it.
        about: what it is for.
        sections: from top to bottom.
        variables: besides the data sources, job and instance.
    """

    name: str
    title: str
    about: str
    sections: tuple[Section, ...]
    variables: tuple[Variable, ...] = ()


def document(board: Board) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": _uid(board),
        "title": f"tickspan: {board.title}",
        "description": board.about,
        "tags": ["tickspan"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_other_boards(), _traces_of_a_job()],
        "templating": {"list": [*_sources(), *(_variable(one) for one in board.variables)]},
        "annotations": {"list": [_alerts_as_annotations()]},
        "panels": _panels(board),
    }


def _uid(board: Board) -> str:
    return "tickspan-" + hashlib.sha256(board.name.encode()).hexdigest()[:16]


def _panels(board: Board) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for section in board.sections:
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        made.append(
            {"id": len(made) + 1, "type": "row", "title": section.title, "gridPos": place, "panels": []}
        )
        top += 1
        left = height = 0
        for panel in section.panels:
            if left + panel.width > COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            made.append({"id": len(made) + 1, "gridPos": place, **_panel(panel)})
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return made


def _panel(panel: Panel) -> dict[str, Any]:
    unit = panel.queries[0].unit if panel.queries else ""
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _METRICS,
        "targets": [_target(query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel, unit), "overrides": []},
        "options": {**_options(panel), **panel.options},
        **({"transformations": [{"id": "merge", "options": {}}]} if panel.kind == "table" else {}),
    }


def _target(query: Query, place: int) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + place),
        "datasource": _METRICS,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": "heatmap" if query.is_heatmap else "table" if query.is_instant else "time_series",
        "instant": query.is_instant,
        "range": not query.is_instant,
        "exemplar": query.has_exemplars,
    }


def _defaults(panel: Panel, unit: str) -> dict[str, Any]:
    steps = [{"color": "green", "value": None}]
    steps += [{"color": limit.colour, "value": limit.value} for limit in panel.limits]
    custom: dict[str, Any] = {}
    if panel.kind == "timeseries":
        custom = {
            "lineWidth": 1,
            "fillOpacity": 25 if panel.is_stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.is_stacked else "none"},
            "thresholdsStyle": {"mode": "line" if panel.limits else "off"},
        }
    return {
        "unit": _UNITS.get(unit, "reqps" if unit.endswith("/s") else "short"),
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": custom,
        "noValue": "nothing yet",
        "links": [_exemplar_link()] if any(query.has_exemplars for query in panel.queries) else [],
    }


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "timeseries":
            return {
                "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "stat":
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
                "colorMode": "background" if panel.limits else "value",
                "graphMode": "area",
            }
        case "heatmap":
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Viridis", "steps": 64},
                "yAxis": {"unit": _UNITS.get(panel.queries[0].unit, "short")},
                "exemplars": {"color": "rgba(255,160,0,0.9)"},
                "tooltip": {"mode": "single", "yHistogram": True},
            }
        case "bargauge":
            return {"displayMode": "gradient", "orientation": "horizontal"}
        case _:
            return {}


def _sources() -> list[dict[str, Any]]:
    return [
        _source("metrics", "Metrics", "prometheus"),
        _source("traces", "Traces", "jaeger"),
        _variable(Variable("job", "Service", "label_values(target_info, job)")),
        _variable(Variable("instance", "Process", 'label_values(target_info{job=~"$job"}, instance)')),
    ]


def _source(name: str, label: str, kind: str) -> dict[str, Any]:
    return {"type": "datasource", "name": name, "label": label, "query": kind, "hide": 0, "includeAll": False}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": _METRICS,
        "query": {"qryType": 1, "query": variable.question, "refId": variable.name},
        "definition": variable.question,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _alerts_as_annotations() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": _METRICS,
        "expr": 'ALERTS{alertstate="firing",job=~"$job|"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
        "iconColor": "red",
        "step": "15s",
    }


def _other_boards() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "tickspan",
        "tags": ["tickspan"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _traces_of_a_job() -> dict[str, Any]:
    search = (
        f'{{"datasource":"{_TRACES}","queries":[{{"refId":"A","queryType":"search","service":"$job"}}],'
        '"range":{"from":"$__from","to":"$__to"}}'
    )
    return {
        "type": "link",
        "title": "Traces",
        "icon": "external link",
        "url": f"/explore?left={search}",
        "keepTime": True,
        "targetBlank": True,
    }


def _exemplar_link() -> dict[str, Any]:
    query = f'{{"datasource":"{_TRACES}","queries":[{{"refId":"A","query":"${{__data.fields.trace_id}}"}}]}}'
    return {"title": "Trace of this point", "url": f"/explore?left={query}", "targetBlank": True}


def panels_of(made: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The pictures of a dashboard's document: its panels without the titles between them."""
    return [panel for panel in made["panels"] if panel["type"] != "row"]
