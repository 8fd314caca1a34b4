"""Charts: where things are drawn, and that hostile names stay text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from tickspan_desk.views.alerts import Segment
from tickspan_desk.views.metrics import Heat, HeatRow, Line
from tickspan_desk.web.charts import flame, heat_map, line_chart, state_timeline

HOSTILE = '</svg><script>alert(1)</script>" onload="x'


def told(value: float) -> str:
    return f"{value:g} ms"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)


def test_a_line_goes_from_left_to_right_and_up() -> None:
    drawn = line_chart([Line("a", ((0, 0.0), (50, 5.0), (100, 10.0)))], 0, 100, told, "A", height=118)
    (line,) = parsed(drawn).iter("polyline")
    assert line.attrib["points"] == "0,100 500,54 1000,8"
    assert line.attrib["class"] == "line c0"


def test_a_line_is_broken_where_points_are_missing() -> None:
    points = tuple((at, 1.0) for at in (0, 1, 2, 3, 50, 51, 90))
    runs = [
        line.attrib["points"].count(",")
        for line in parsed(line_chart([Line("a", points)], 0, 100, told, "A")).iter("polyline")
    ]
    assert runs == [4, 2, 2]


def test_a_single_point_is_a_dot() -> None:
    drawn = line_chart([Line("a", ((5, 1.0),))], 0, 10, told, "A")
    assert 'class="line c0 point"' in drawn


def test_values_beside_the_axis_are_round() -> None:
    drawn = line_chart([Line("a", ((0, 0.7), (9, 7.3)))], 0, 10, told, "A")
    assert re.findall(r">([^<]+ ms)<", drawn) == ["0 ms", "2 ms", "4 ms", "6 ms", "8 ms"]
    drawn = line_chart([Line("a", ((0, 100.0), (9, 1000.0)))], 0, 10, told, "A", base=2)
    assert re.findall(r">([^<]+ ms)<", drawn) == ["0 ms", "256 ms", "512 ms", "768 ms", "1024 ms"]


def test_the_ninth_line_is_dashed() -> None:
    drawn = line_chart([Line(str(number), ((0, 1.0), (1, 1.0))) for number in range(9)], 0, 1, told, "A")
    lines = list(parsed(drawn).iter("polyline"))
    assert [line.attrib.get("stroke-dasharray") for line in lines] == [None] * 8 + ["6 3"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1e308, 5e-324, -1e300])
def test_values_beyond_all_measure_are_survived(value: float) -> None:
    lines = [Line("a", ((0, value), (1, 1.0), (2, -value)))]
    for base in (2, 10):
        parsed(line_chart(lines, 0, 2, told, "A", base=base))


def test_a_cell_is_as_dark_as_its_count() -> None:
    heat = Heat(0, 1_000_000_000, (HeatRow(0.0, 1.0, (0, 16)), HeatRow(1.0, float("inf"), (4, 0))))
    drawn = parsed(heat_map(heat, told, "H"))
    cells = [(rect.attrib["y"], rect.attrib["fill-opacity"], rect[0].text) for rect in drawn.iter("rect")]
    assert cells == [
        ("0", "0.56", "00:00:00: 4 of 1 ms to > 1 ms"),
        ("12", "1.0", "00:00:01: 16 of 0 ms to 1 ms"),
    ]


def test_states_are_told_by_class_and_height() -> None:
    segments = [Segment(0, 50, "inactive"), Segment(50, 75, "pending"), Segment(75, 100, "firing")]
    drawn = parsed(state_timeline(segments, 0, 100, "S"))
    bars = [
        tuple(rect.attrib[key] for key in ("class", "x", "width", "height")) for rect in drawn.iter("rect")
    ]
    assert bars == [("ok", "0%", "50%", "6"), ("warn", "50%", "25%", "13"), ("bad", "75%", "25%", "18")]


def test_a_frame_is_as_wide_as_its_samples() -> None:
    drawn = parsed(flame([("main;f", 3), ("main;g", 1)], "F"))
    frames = {
        frame[0].text: (frame.attrib["x"], frame.attrib["y"], frame.attrib["width"])
        for frame in drawn.iter("svg")
        if "x" in frame.attrib
    }
    assert frames == {
        "all: 4 samples, 100.0%": ("0%", "0", "100%"),
        "main: 4 samples, 100.0%": ("0%", "18", "100%"),
        "f: 3 samples, 75.0%": ("0%", "36", "75%"),
        "g: 1 samples, 25.0%": ("75%", "36", "25%"),
    }


def test_a_flame_graph_is_bounded() -> None:
    wide = [(f"main;{number}", 1) for number in range(500)]
    deep = [(";".join(["f"] * 5_000), 1000)]
    drawn = flame([*wide, *deep], "F")
    assert drawn.count("<title>") <= 2_000
    assert 'height="1458"' in drawn
    assert flame([], "F") == ""


def test_hostile_names_stay_text() -> None:
    pictures = [
        line_chart([Line(HOSTILE, ((0, 1.0),))], 0, 1, lambda _: HOSTILE, HOSTILE),
        heat_map(Heat(0, 1, (HeatRow(0.0, 1.0, (1,)),)), lambda _: HOSTILE, HOSTILE),
        state_timeline([Segment(0, 1, HOSTILE)], 0, 1, HOSTILE),
        flame([(HOSTILE, 1)], HOSTILE),
    ]
    for picture in pictures:
        assert "<script" not in picture
        assert not list(parsed(picture).iter("script"))
        assert "onload" not in parsed(picture).attrib
        assert "style" not in picture
