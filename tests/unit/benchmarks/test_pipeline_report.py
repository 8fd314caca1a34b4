"""The pipeline's report: tables, verdicts and the plot, from values."""

from __future__ import annotations

import pytest

from benchmarks.pipeline.contenders import CONTENDERS, endpoints, of_signal
from benchmarks.pipeline.place import shortfall
from benchmarks.pipeline.plot import position, svg
from benchmarks.pipeline.race import Race
from benchmarks.pipeline.sections import Section, Table, Target, at_most, markdown, targets_markdown
from benchmarks.sidebyside.costs import Spread

WHOLE = {"count": 3, "twice": 0, "wrong": 0, "fault": None, "absent": []}


def race(**values: dict[int, float]) -> Race[float]:
    return Race({name.replace("_", "-"): found for name, found in values.items()})


def test_the_median_of_the_ratios_decides_about_a_target():
    assert at_most("cost", "tickspan", Spread(0.1, 0.15, 0.9), 0.15, 0.05) == Target(
        "cost", "tickspan", "≤ 0.15x (goal 0.05x)", "0.150x (0.100 … 0.900)", is_met=True
    )


def test_a_target_that_was_not_measured_is_neither_met_nor_missed():
    assert at_most("cost", "tickspan", None, 0.15) == Target(
        "cost", "tickspan", "≤ 0.15x", "not measured", is_met=None
    )


def test_a_section_is_a_markdown_table_with_a_note():
    section = Section("cost", (Table("Cost", ("contender", "x"), (("a|b", "1"),), "A note."),))
    assert markdown(section) == "### Cost\n\n| contender | x |\n| --- | --- |\n| a\\|b | 1 |\n\nA note."


def test_all_targets_stand_in_one_table():
    missed = Section("cost", (), (Target("cost", "tickspan", "≤ 1x", "2x", is_met=False),))
    assert targets_markdown([missed]).splitlines()[-1] == "| cost | tickspan | ≤ 1x | 2x | **not met** |"


def test_what_a_contender_adds_is_divided_by_what_stock_adds():
    run = Race({"empty loop": {0: 1.0}, "stock-http": {0: 11.0}, "tickspan": {0: 2.0}})
    assert run.over_stock("tickspan", float) == Spread(0.1, 0.1, 0.1)
    assert run.added("tickspan", float) == [1.0]
    assert run.cells("stock-http", float, 10) == ("1.00", "1")
    assert run.cells("empty loop", float, 1) == ("1.00", "")
    assert run.bars(float) == {"stock-http": 1.0, "tickspan": 0.1}


def test_only_ours_is_at_fault_for_what_did_not_arrive():
    run = race(stock_http={0: 1.0}, tickspan={0: 1.0, 1: 0.0})
    run.missing["tickspan-pure"] = "no compiler"
    told = run.faults("caller", lambda value: "one is lost" if value else None)
    assert told == ("caller, tickspan-pure: no compiler", "caller, tickspan: one is lost")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (WHOLE, None),
        ({**WHOLE, "count": 1, "absent": [1, 2]}, "2 of 3 did not come: number [1, 2] and on"),
        ({**WHOLE, "twice": 2}, "2 came twice"),
        ({**WHOLE, "wrong": 1, "fault": "price=1"}, "1 came with price=1"),
    ],
)
def test_findings_of_the_sink_are_told_in_words(found: dict[str, object], said: str | None):
    assert shortfall(found, 3) == said


def test_each_signal_is_raced_against_an_empty_loop_and_the_stock_sdk():
    for signal in ("spans", "metrics", "logs"):
        names = [contender.name for contender in of_signal(signal)]
        assert names[:2] == ["empty loop", "stock-http"]
        assert names[-2:] == ["tickspan", "tickspan-pure"]


def test_each_contender_sends_where_its_protocol_is_spoken():
    told = {contender.name: endpoints(contender, "http://h", "g:1") for contender in CONTENDERS}
    assert told["stock-grpc"] == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://g:1"}
    assert told["ddtrace"] == {"DD_TRACE_AGENT_URL": "http://h"}
    assert told["tickspan"] == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}


@pytest.mark.parametrize(
    ("value", "place"), [(0.0001, 0.0), (0.01, 0.0), (0.1, 1 / 3), (1, 2 / 3), (10, 1.0), (99, 1.0)]
)
def test_a_bar_stands_on_a_logarithmic_axis_that_it_never_leaves(value: float, place: float):
    assert position(value) == pytest.approx(place)


def test_the_plot_names_every_contender_and_its_multiple():
    drawn = svg({"caller": {"stock-http": 1.0, "tickspan": 0.05}}, "a <machine>")
    assert drawn.startswith("<svg ")
    assert "a &lt;machine&gt;" in drawn
    assert ">tickspan<" in drawn
    assert ">0.05x<" in drawn
