"""Pictures of stages and counts: they are well formed, in proportion, and say what they show."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup
from order_words import EPOCH_NS, MS, at, log, one_order
from tickspan_desk.store import LogEntry, LogFilter, Window
from tickspan_desk.views.logs import logs_of
from tickspan_desk.views.stages import Stage, Way, way_of
from tickspan_desk.web.lanes import MAX_LANES, stages
from tickspan_desk.web.sparks import MAX_POINTS, severity_bars, sparkline

HOSTILE = '"><script>alert(1)</script>'


def read(picture: Markup) -> ET.Element:
    return ET.fromstring(picture)


def milliseconds(duration_ns: float) -> str:
    return f"{duration_ns / MS:g} ms"


def found(picture: ET.Element, name: str) -> list[dict[str, Any]]:
    return [element.attrib for element in picture.iter(name)]


def test_stages_are_lanes_in_proportion() -> None:
    spans = one_order()
    way = way_of(spans[3:], spans[:3])
    picture = read(stages(way, milliseconds))
    width = 77.0  # of a hundred, over 60 ms
    bars = [(float(bar["x"][:-1]), float(bar["width"][:-1])) for bar in found(picture, "rect")]
    assert [(round(x - 15, 1), round(length, 1)) for x, length in bars] == [
        (round(start / 60 * width, 1), round(length / 60 * width, 1))
        for start, length in ((0, 2), (2, 8), (8, 1), (10, 15), (25, 1), (26, 4), (30, 10), (40, 20))
    ]
    assert picture.attrib["aria-label"] == (
        "From tick to fill: tick 2 ms, decision 8 ms, check size: pass 1 ms, client wait 15 ms, signing 1 ms,"
        " client 4 ms, wire to answer 10 ms, to the first fill 20 ms"
    )
    assert [link["href"] for link in found(picture, "a")] == [stage.path for stage in way.stages]
    assert len(found(picture, "circle")) == 1


def test_a_long_wait_for_a_fill_is_drawn_to_another_scale() -> None:
    way = Way(
        (
            Stage("client", "client", at(0), at(10)),
            Stage("fill", "to the first fill", at(10), at(3_600_010)),
        ),
        answered_ns=at(10),
    )
    picture = read(stages(way, milliseconds))
    widths = [round(float(bar["width"][:-1]), 1) for bar in found(picture, "rect")]
    assert widths == [round(77 * 0.66, 1), round(77 * 0.34, 1)]
    assert "10 ms ⋯ other scale" in [text.text for text in picture.iter("text")]


def test_a_stage_without_length_can_be_seen() -> None:
    way = Way((Stage("tick", "tick", at(0), at(0)), Stage("wire", "wire", at(0), at(100))))
    assert min(float(bar["width"][:-1]) for bar in found(read(stages(way, milliseconds)), "rect")) == 0.25


def test_hostile_names_and_many_stages_stay_in_the_picture() -> None:
    many = tuple(Stage("check", HOSTILE, at(number), at(number + 1), HOSTILE) for number in range(1_000))
    picture = read(stages(Way(many, tuple(range(5_000))), milliseconds))
    assert len(found(picture, "rect")) == MAX_LANES
    assert found(picture, "script") == []
    assert {link["href"] for link in found(picture, "a")} == {HOSTILE}


def test_no_stages_make_no_picture() -> None:
    assert stages(Way(), milliseconds) == ""


def test_a_sparkline_is_as_high_as_its_values_with_what_is_bad_before_them() -> None:
    picture = read(sparkline([0, 5, 10], [0, 0, 5], "calls"))
    assert [(bar["class"], float(bar["height"])) for bar in found(picture, "rect")] == [
        ("c0", 11),
        ("c0", 22),
        ("bad", 11),
    ]
    assert picture.attrib["aria-label"] == "calls"


def test_a_sparkline_of_nothing_is_its_ground() -> None:
    for values in ([], [0, 0]):
        picture = read(sparkline(values, values))
        assert (len(found(picture, "rect")), len(found(picture, "path"))) == (0, 1)


def test_many_points_are_joined() -> None:
    picture = read(sparkline([1, 1, 0, 2] * (MAX_POINTS // 2)))
    assert [float(bar["height"]) for bar in found(picture, "rect")] == [11, 22] * (MAX_POINTS // 2)


def test_records_over_time_are_bars_that_lead_to_their_time() -> None:
    entries = [LogEntry(1, log(0, severity=17)), LogEntry(2, log(10)), LogEntry(3, log(20))]
    model = logs_of(entries, entries, LogFilter(text=HOSTILE), Window(EPOCH_NS, at(60_000)))
    picture = read(severity_bars(model.buckets, model.severities))
    assert [(bar["class"], float(bar["height"])) for bar in found(picture, "rect")] == [
        ("bad", 24),
        ("info", 48),
    ]
    assert [link["href"] for link in found(picture, "a")] == [model.buckets[0].path]
    assert [title.text for title in picture.iter("title")] == ["1 error, 2 info"]


def test_no_records_make_no_bars() -> None:
    assert severity_bars((), ()) == ""
