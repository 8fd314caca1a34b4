"""Templates, and how numbers, times and sizes read in them."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tickspan_desk.views.metrics import teller
from tickspan_desk.views.text import visible
from tickspan_desk.web.charts import HUES, flame, heat_map, line_chart, state_timeline
from tickspan_desk.web.drawing import element, share
from tickspan_desk.web.lanes import stages
from tickspan_desk.web.page import Asked
from tickspan_desk.web.pictures import drawn_bar, drawn_flame, drawn_ruler, drawn_step, drawn_traces
from tickspan_desk.web.sparks import severity_bars, sparkline
from tickspan_desk.web.words import (
    as_bytes,
    as_clock,
    as_count,
    as_date,
    as_duration,
    as_percent,
    as_signed_duration,
)

__all__ = ["RANGES", "as_range", "kept", "query", "templates", "travelling"]

RANGES: Final = (
    (300, "5 minutes"),
    (900, "15 minutes"),
    (3600, "1 hour"),
    (21_600, "6 hours"),
    (86_400, "24 hours"),
    (604_800, "7 days"),
)
"""Seconds and name of what the menu of time offers."""

_DEFAULT_RANGE_S: Final = 3600.0
_TRAVELLING: Final = ("range", "since", "until")


def as_range(asked: Asked) -> str:
    """What the menu of time is called: a name of `RANGES`, or what was chosen instead."""
    if "since" in asked.query or "until" in asked.query:
        window = asked.window()
        return f"{as_clock(window.since_ns)[:8]} to {as_clock(window.until_ns)[:8]}"
    seconds = asked.number("range", _DEFAULT_RANGE_S)
    return dict(RANGES).get(int(seconds), f"{seconds:,.0f} s")


def query(asked: Asked, **changes: object) -> str:
    """The query of a link to the same page with some parameters changed, or left out where None.

    >>> query(Asked({}, {"range": "900", "before": "7"}, 0), before=None, service="bot")
    '?range=900&service=bot'
    """
    wanted = {**asked.query, **changes}
    return "?" + urlencode({name: value for name, value in wanted.items() if value not in {None, ""}})


def travelling(asked: Asked) -> str:
    """The query that goes along to other pages: the range of time, or nothing."""
    kept = {name: asked.query[name] for name in _TRAVELLING if asked.query.get(name)}
    return f"?{urlencode(kept)}" if kept else ""


def kept(asked: Asked) -> Markup:
    """Hidden fields, for a form of a filter: the range of time that is chosen."""
    return Markup("").join(
        element("input", type="hidden", name=name, value=asked.query[name])
        for name in _TRAVELLING
        if asked.query.get(name)
    )


def templates() -> Environment:
    """The environment of all templates: values are escaped and visible, unknown names are errors."""
    made = Environment(
        loader=PackageLoader("tickspan_desk.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters |= {
        "duration": as_duration,
        "clock": as_clock,
        "date": as_date,
        "count": as_count,
        "bytes": as_bytes,
        "percent": as_percent,
        "range_name": as_range,
        "signed_duration": as_signed_duration,
        "visible": visible,
    }
    shared: dict[str, Any] = {
        "drawn_bar": drawn_bar,
        "drawn_flame": drawn_flame,
        "drawn_ruler": drawn_ruler,
        "drawn_step": drawn_step,
        "drawn_traces": drawn_traces,
        "flame_graph": flame,
        "heat_map": heat_map,
        "hues": HUES,
        "kept": kept,
        "line_chart": line_chart,
        "query": query,
        "ranges": RANGES,
        "severity_bars": severity_bars,
        "share": share,
        "sparkline": sparkline,
        "stages": partial(stages, duration=as_duration),
        "state_timeline": state_timeline,
        "teller": teller,
        "travelling": travelling,
    }
    made.globals.update(shared)
    return made


def _finalize(value: object) -> object:
    """Of each value that a template writes; what is Markup was made of visible text."""
    return visible(value) if type(value) is str else value
