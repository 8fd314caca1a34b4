"""QuickFIX and simplefix against a venue: which spans an order leaves, and where they hang."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.order_traces import shown
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("library", ["quickfix", "simplefix"])]

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))
RESTING = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "10000.00"))
ASIDE = ((55, "BTC/USDT"), (54, "1"))

FILLED_IN_TWO = """\
trading.order.submit VENUE
  trading.order.event partially_filled
  trading.order.event filled
  trading.order.lifecycle"""


def test_an_order_is_one_trace_from_its_sending_to_its_last_fill(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue(partials=(0.4, 0.6)))
    client.send("D", (11, "a"), (1, "ACC"), *LIMIT)
    client.until(3)
    assert story.tree() == FILLED_IN_TWO
    assert [span.kind for span in story.spans()] == ["client", "consumer", "consumer", "internal"]


def test_the_spans_of_an_order_say_this_and_nothing_more(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue(partials=(0.4, 0.6)))
    client.send("D", (11, "a"), (1, "ACC"), *LIMIT, (59, "1"), (167, "CS"))
    client.until(3)
    order = {
        "trading.venue.name": "VENUE",
        "trading.venue.environment": "simulated",
        "trading.client.library": library,
        "trading.instrument.symbol": "BTC/USDT",
        "trading.order.operation": "submit",
        "trading.order.client_id": "a",
        "trading.order.root_client_id": "a",
        "trading.order.venue_id": "1000001",
        "trading.order.side": "buy",
        "trading.order.type": "limit",
    }
    event = {
        **order,
        "trading.order.event.source": "fix",
        "trading.venue.time_unix_nano": "time",
        "trading.execution.liquidity": "taker",
    }
    assert [shown(span.attributes) for span in story.spans()] == [
        {
            **order,
            "trading.instrument.class": "equity",
            "trading.order.time_in_force": "good_till_cancel",
            "trading.trigger": "manual",
            "trading.order.status": "new",
        },
        {
            **event,
            "trading.order.status": "partially_filled",
            "trading.order.filled_ratio": 0.4,
            "trading.execution.id": "5000001",
        },
        {
            **event,
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.execution.id": "5000002",
        },
        {
            **order,
            "trading.trigger": "manual",
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.order.executions": 2,
            "trading.order.complete": True,
            "trading.latency.decision_to_wire": "seconds",
            "trading.latency.wire_to_ack": "seconds",
            "trading.latency.ack_to_first_fill": "seconds",
            "trading.latency.order_duration": "seconds",
        },
    ]


def test_the_call_lasts_until_the_first_report(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue(ack_delay_s=0.1, fill_delay_s=0.05))
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    life = story.spans("trading.order.lifecycle")[0].attributes
    assert life["trading.latency.decision_to_wire"] < 0.1 <= life["trading.latency.wire_to_ack"]
    assert life["trading.latency.ack_to_first_fill"] >= 0.04
    parts = ("decision_to_wire", "wire_to_ack", "ack_to_first_fill")
    total = sum(life[f"trading.latency.{part}"] for part in parts)
    assert life["trading.latency.order_duration"] == pytest.approx(total)


def test_a_replaced_order_stays_one_order_under_a_new_name(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue(partials=(0.4, 0.6), fill_gap_s=60))
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    client.send("G", (11, "b"), (41, "a"), *LIMIT[:2], (38, "2.4"), *LIMIT[3:])
    client.until(4)
    client.send("F", (11, "c"), (41, "b"), *ASIDE)
    client.until(5)
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.event partially_filled\n"
        "  trading.order.replace VENUE\n"
        "  trading.order.event partially_filled\n"
        "  trading.order.cancel VENUE\n"
        "  trading.order.event canceled\n"
        "  trading.order.lifecycle"
    )
    names = ("client_id", "root_client_id", "revision", "executions", "status", "filled_ratio")
    life = story.spans("trading.order.lifecycle")[0].attributes
    assert [life[f"trading.order.{name}"] for name in names] == ["b", "a", 1, 2, "canceled", 0.5]
    assert {span.status for span in story.spans()} == {"unset"}


def test_a_replace_and_a_cancel_say_what_they_are_about(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *RESTING)
    client.until(1)
    client.send("G", (11, "b"), (41, "a"), *RESTING)
    client.until(2)
    client.send("F", (11, "c"), (41, "b"), *ASIDE)
    client.until(3)
    names = ("client_id", "original_client_id", "venue_id", "status", "revision")
    told = [
        [span.attributes.get(f"trading.order.{name}") for name in names]
        for span in (*story.spans("trading.order.replace"), *story.spans("trading.order.cancel"))
    ]
    assert told == [["b", "a", "1000001", "new", 1], ["c", "b", "1000001", "canceled", 1]]
    assert story.spans("trading.order.cancel")[0].attributes["trading.latency.cancel_to_ack"] > 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((*LIMIT[:2], (38, "1000"), *LIMIT[3:]), ("VENUE:3", "3", "funds", "venue")),
        (((55, "FOO/BAR"), *LIMIT[1:]), ("VENUE:1", "1", "symbol", "venue")),
        ((*LIMIT[:2], (38, "0.0000001"), *LIMIT[3:]), ("VENUE:13", "13", "quantity", "venue")),
        ((*LIMIT[:4], (44, "1.001")), ("VENUE:99", "99", "price", "venue")),
        ((*LIMIT[:2], (38, "x"), *LIMIT[3:]), ("VENUE:373=5", "373=5", "other", "gateway")),
        (LIMIT[:4], ("VENUE:380=5", "380=5", "price", "venue")),
    ],
)
def test_a_refused_order_ends_its_span_with_the_venues_code(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str, fields: Any, expected: Any
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *fields)
    client.until(1)
    assert story.tree() == "trading.order.submit VENUE\n  trading.order.lifecycle"
    names = ("error.type", *(f"trading.order.reject.{name}" for name in ("code", "reason", "origin")))
    submit, life = story.spans()
    assert tuple(submit.attributes[name] for name in names) == expected
    assert tuple(life.attributes[name] for name in names) == expected
    assert (submit.status, submit.attributes["trading.order.status"]) == ("error", "rejected")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (("F", (11, "x"), (41, "a"), *ASIDE), ("trading.order.cancel VENUE", "VENUE:0", "other")),
        (("F", (11, "x"), (41, "nobody"), *ASIDE), ("trading.order.cancel VENUE", "VENUE:1", "not_found")),
        (("G", (11, "x"), (41, "a"), *LIMIT), ("trading.order.replace VENUE", "VENUE:0", "other")),
        (("G", (11, "a"), (41, "a"), *LIMIT), ("trading.order.replace VENUE", "VENUE:6", "duplicate_id")),
    ],
)
def test_a_refused_cancel_or_replacement_leaves_the_order_as_it_was(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str, request_: Any, expected: Any
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    client.send(*request_)
    client.until(3)
    [span] = [span for span in story.spans() if span.name == expected[0]]
    reason = span.attributes["trading.order.reject.reason"]
    assert (span.name, span.attributes["error.type"], reason) == expected
    lives = story.spans("trading.order.lifecycle")
    assert [span.attributes["trading.order.status"] for span in lives] == ["filled"]


def test_a_throttled_order_is_refused_and_a_hit_of_the_budget(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    venue.next(Fault.RATE_LIMIT_429)
    client.send("D", (11, "a"), *LIMIT)
    client.until(1)
    attributes = story.spans("trading.order.submit")[0].attributes
    assert attributes["trading.order.reject.reason"] == "rate_limit"
    assert [point.value for point in told.points("trading.rate_limit.hits")] == [1]


def test_an_order_whose_acknowledgement_is_lost_is_acknowledged_by_its_fill(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    venue.next(Fault.ACCEPT_THEN_504)
    client.send("D", (11, "a"), *LIMIT)
    client.until(1)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.event filled\n  trading.order.lifecycle"
    )
    events = story.spans("trading.order.event")
    assert [span.attributes["trading.order.event.source"] for span in events] == ["fix"]


def test_a_fill_before_its_acknowledgement_is_in_the_trace(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue(partials=(0.4, 0.6))
    client = make_client(library, venue)
    venue.next(Fault.FILL_BEFORE_ACK)
    client.send("D", (11, "a"), *LIMIT)
    client.until(3)
    assert [execution for execution, _ in story.executions()] == ["5000001", "5000002"]
    late = [
        (span.name, span.attributes.get("trading.order.late")) for span in story.spans("trading.order.event")
    ]
    assert late == [
        ("trading.order.event partially_filled", None),
        ("trading.order.event filled", None),
        ("trading.order.event new", True),
    ]
    assert {span.trace_id for span in story.spans()} == {1}


@pytest.mark.parametrize("fault", [Fault.DUPLICATE_EVENT, Fault.REORDER, Fault.LATE_FILL])
def test_repeated_swapped_and_late_reports_change_no_total(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str, fault: Fault
) -> None:
    venue = make_venue(partials=(0.4, 0.6), late_fill_s=0.02)
    client = make_client(library, venue)
    venue.next(fault)
    client.send("D", (11, "a"), *LIMIT)
    client.until(3 + (fault is Fault.DUPLICATE_EVENT))
    life = story.spans("trading.order.lifecycle")
    assert sorted(execution for execution, _ in story.executions()) == ["5000001", "5000002"]
    assert [span.attributes["trading.order.filled_ratio"] for span in life] == [1.0]
    assert [span.attributes["trading.order.executions"] for span in life] == [2]


def test_an_order_that_expires_is_no_error(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *RESTING, (59, "3"))
    client.until(2)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.event expired\n  trading.order.lifecycle"
    )
    assert {span.status for span in story.spans()} == {"unset"}


def test_a_question_about_an_order_is_a_query_in_its_trace(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *RESTING)
    client.until(1)
    client.send("H", (11, "a"), (790, "q"), *ASIDE)
    client.until(2)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.query VENUE\n  trading.order.lifecycle"
    )


def test_a_question_may_have_no_id_of_its_own(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue(ack_delay_s=0.1))
    client.send("D", (11, "a"), *RESTING)
    client.until(1)
    client.send("H", (11, "a"), *ASIDE)
    client.until(2)
    assert [span.status for span in story.spans("trading.order.query")] == ["unset"]


def test_prices_and_sizes_accounts_and_passwords_stay_inside(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    client.send("D", (11, "a"), (1, "SECRET-ACCOUNT"), *LIMIT, (58, "SECRET-NOTE"), (95, 6), (96, "SECRET"))
    client.send("D", (11, "b"), (1, "SECRET-ACCOUNT"), *LIMIT[:2], (38, "98765"), *LIMIT[3:])
    client.until(3)
    told_of = [*story.spans(), *told.events()]
    texts = [value for one in told_of for value in one.attributes.values() if isinstance(value, str)]
    texts += [one.name for one in told_of] + [event.body or "" for event in told.events()]
    known = (venue.connect.api_key, venue.connect.secret, "SECRET", "90000", "98765", "60000")
    assert len(texts) > 20
    assert [secret for secret in known if any(secret in text for text in texts)] == []


def test_no_trace_context_goes_over_the_wire(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    with told.tracer_provider.get_tracer("the bot").start_as_current_span("rebalance"):
        client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    [order] = [request for request in venue.requests if request.path == "D"]
    tags = {field.partition("=")[0] for field in order.body.split("\x01")[:-1]}
    assert tags == {"8", "9", "35", "34", "49", "52", "56", "11", "38", "40", "44", "54", "55", "10"}
    assert story.tree().startswith("rebalance\n  trading.order.submit VENUE\n")
