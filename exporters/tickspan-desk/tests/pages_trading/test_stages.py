"""Where the time of an order went, from its spans."""

from __future__ import annotations

from order_words import MS, TRACE, at, named, one_order, span
from tickspan_desk.views.stages import Stage, Way, names_it, way_of

from tickspan.received import ReceivedSpan
from tickspan.semconv import trading

IDS = frozenset({"c-1", "v-1"})


def path(number: int, trace_id: str = TRACE) -> str:
    return f"/traces/{trace_id}?selected={number:016x}#span-{number:016x}"


def told(spans: list[ReceivedSpan]) -> Way:
    own = [one for one in spans if names_it(one.attributes, IDS)]
    return way_of(own, [one for one in spans if one not in own])


def test_the_way_of_an_order_is_told_by_its_lifecycle() -> None:
    assert told(one_order()) == Way(
        stages=(
            Stage("tick", "tick", at(0), at(2), path(1)),
            Stage("decision", "decision", at(2), at(10), path(2)),
            Stage("check", "check size: pass", at(8), at(9), path(3)),
            Stage("wait", "client wait", at(10), at(25), path(4)),
            Stage("signing", "signing", at(25), at(26), path(4)),
            Stage("client", "client", at(26), at(30), path(4)),
            Stage("wire", "wire to answer", at(30), at(40), path(4)),
            Stage("fill", "to the first fill", at(40), at(60), path(6)),
        ),
        fills_ns=(at(60),),
        sent_ns=at(30),
        answered_ns=at(40),
        tick_to_decision_ns=10 * MS,
        decision_to_wire_ns=20 * MS,
        wire_to_ack_ns=10 * MS,
        ack_to_fill_ns=20 * MS,
        duration_ns=50 * MS,
        tick_to_ack_ns=40 * MS,
        tick_to_fill_ns=60 * MS,
    )


def test_the_longest_stage_is_one_that_no_other_holds() -> None:
    way = Way((Stage("check", "c", at(0), at(9)), Stage("wire", "w", at(0), at(3)), Stage("tick", "t", 0, 1)))
    assert way.longest == way.stages[1]
    assert Way().longest is None


def test_while_an_order_is_open_its_call_is_told_whole() -> None:
    assert told(one_order()[:4]) == Way(
        stages=(
            Stage("tick", "tick", at(0), at(2), path(1)),
            Stage("decision", "decision", at(2), at(10), path(2)),
            Stage("check", "check size: pass", at(8), at(9), path(3)),
            Stage("call", "order call", at(10), at(41), path(4)),
        ),
        tick_to_decision_ns=10 * MS,
    )


def test_an_order_without_an_answer_says_so() -> None:
    life = {trading.LATENCY_DECISION_TO_WIRE: 0.001, trading.ORDER_STATUS: "unknown"}
    spans = [
        span(
            1,
            f"{trading.SPAN_ORDER}.submit sim",
            0,
            5,
            attributes=named(more={trading.ORDER_OPERATION: "submit"}),
        ),
        span(2, trading.SPAN_ORDER_LIFECYCLE, 0, 900, 1, attributes=named(more=life)),
    ]
    assert told(spans) == Way(
        stages=(
            Stage("client", "client", at(0), at(1), path(1)),
            Stage("wire", "no answer", at(1), at(5), path(1)),
        ),
        sent_ns=at(1),
        decision_to_wire_ns=1 * MS,
    )


def test_a_fill_before_the_answer_is_on_the_way_and_makes_no_stage() -> None:
    spans = one_order()
    life = {
        name: value
        for name, value in spans[5].attributes.items()
        if name not in {trading.LATENCY_ACK_TO_FIRST_FILL, trading.LATENCY_ORDER_DURATION}
    }
    early = span(5, spans[4].name, 35, 36, 4, attributes=dict(spans[4].attributes))
    way = told([*spans[:4], early, span(6, spans[5].name, 10, 60, 4, attributes=life)])
    assert (way.fills_ns, way.answered_ns, way.ack_to_fill_ns, way.duration_ns) == (
        (at(35),),
        at(40),
        None,
        25 * MS,
    )
    assert "fill" not in {stage.part for stage in way.stages}


def test_later_requests_about_an_order_are_stages() -> None:
    cancel = span(
        9,
        f"{trading.SPAN_ORDER}.cancel sim",
        70,
        75,
        attributes=named(more={trading.ORDER_OPERATION: "cancel"}),
    )
    assert told([*one_order(), cancel]).stages[-1] == Stage("cancel", "cancel", at(70), at(75), path(9))


def test_hostile_durations_are_no_durations() -> None:
    wrong = {
        trading.LATENCY_TICK_TO_DECISION: float("nan"),
        trading.LATENCY_DECISION_TO_WIRE: -1.0,
        trading.LATENCY_WIRE_TO_ACK: "soon",
        trading.LATENCY_ORDER_DURATION: 1e300,
        trading.LATENCY_ACK_TO_FIRST_FILL: True,
    }
    assert told([span(6, trading.SPAN_ORDER_LIFECYCLE, 10, 60, attributes=named(more=wrong))]) == Way()


def test_spans_that_name_no_call_make_no_way() -> None:
    assert told([one_order()[4]]) == Way(fills_ns=(at(60),))


def test_a_client_id_decides_whose_a_span_is_though_two_venues_count_alike() -> None:
    assert names_it(named("c-1", "v-9"), IDS)
    assert not names_it(named("c-2", "v-1"), IDS)
    assert names_it(named(None, "v-1"), IDS)
    assert not names_it({}, IDS)
    assert not names_it({}, frozenset())
