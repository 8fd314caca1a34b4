"""simplefix's own ways: messages are encoded and parsed, and what is done with the bytes is the program's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import simplefix
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan.trading import current_tick
from tickspan_fix import FixInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))
RESTING = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "10000.00"))


def message(msg_type: str, *fields: tuple[int, Any]) -> Any:
    made: Any = simplefix.FixMessage()
    for tag, value in ((8, "FIX.4.4"), (35, msg_type), *fields):
        made.append_pair(tag, value)
    return made


def parsed(*messages: Any) -> list[Any]:
    """What a parser makes of messages that arrive."""
    parser: Any = simplefix.FixParser()
    for one in messages:
        parser.append_buffer(one.encode())
    return [parser.get_message() for _ in messages]


REPLACED_AGAIN = ((37, "1"), (11, "c"), (41, "b"), (17, "R3"), (150, "5"), (39, "0"), (38, "2"), (14, "0"))
FILLED_AT_LAST = ((37, "1"), (11, "c"), (17, "E1"), (150, "F"), (39, "2"), (38, "2"), (32, "2"), (14, "2"))
OURS = ((49, "CLIENT"), (56, "VENUE"), (34, 1))
THEIRS = ((49, "VENUE"), (56, "CLIENT"), (34, 1))


def test_an_order_after_a_tick_hangs_below_it(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("simplefix", venue)
    client.subscribe()
    client.until_tick(venue)
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert story.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit VENUE\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    tick, submit = story.spans("trading.feed.message")[0], story.spans("trading.order.submit")[0]
    assert submit.attributes["trading.trigger"] == "tick"
    assert {**tick.attributes, "trading.venue.time_unix_nano": 0} == {
        "trading.venue.name": "VENUE",
        "trading.instrument.symbol": "BTC/USDT",
        "trading.feed.channel": "market_data",
        "trading.venue.time_unix_nano": 0,
    }


def test_an_order_after_a_fill_is_linked_to_it(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("simplefix", make_venue())
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    client.send("D", (11, "hedge"), *RESTING)
    client.until(3)
    fill, hedge = story.spans("trading.order.event filled")[0], story.spans("trading.order.submit")[1]
    assert (hedge.attributes["trading.trigger"], hedge.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )


def test_a_break_before_the_acknowledgement_doubles_nothing(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue(partials=(0.4, 0.6))
    client = make_client("simplefix", venue)
    venue.next(Fault.ACCEPT_THEN_RESET)
    client.send("D", (11, "a"), *LIMIT)
    with pytest.raises((AssertionError, ConnectionResetError)):
        client.until(1)
    client.close()
    client.connect()
    client.send("2", (7, 2), (16, 0))
    client.until(3)
    client.send("2", (7, 2), (16, 0))
    client.until(6)
    assert [execution for execution, _ in story.executions()] == ["5000001", "5000002"]
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.event partially_filled\n"
        "  trading.order.event filled\n"
        "  trading.order.lifecycle"
    )


def test_encoding_a_message_again_is_no_second_attempt(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("simplefix", make_venue())
    order = client.message("D", (11, "a"), *LIMIT)
    logged = order.encode()
    client.send_message(order)
    client.send_message(client.message("D", (43, "Y"), (11, "a"), *LIMIT, number=2))
    client.until(2)
    assert b"11=a" in logged
    [submit] = story.spans("trading.order.submit")
    assert "trading.order.attempt" not in submit.attributes
    assert told.events("trading.order.unsafe_retry") == []


def test_the_same_order_under_a_new_number_is_an_unsafe_retry(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("simplefix", make_venue(ack_delay_s=0.1))
    client.send("D", (11, "a"), *LIMIT)
    client.send("D", (97, "Y"), (11, "a"), *LIMIT)
    client.until(2)
    [submit] = story.spans("trading.order.submit")
    assert submit.attributes["trading.order.attempt"] == 2
    assert [event.severity for event in told.events("trading.order.unsafe_retry")] == ["ERROR"]


def test_an_order_that_cannot_be_encoded_fails_as_ever(told: Capture, story: Any) -> None:
    broken: Any = simplefix.FixMessage()
    for tag, value in ((35, "D"), *OURS, (11, "a"), *LIMIT):
        broken.append_pair(tag, value)
    with pytest.raises(ValueError, match="No begin string set"):
        broken.encode()
    [submit, _] = story.spans()
    assert (submit.status, submit.attributes["error.type"]) == ("error", "ValueError")


def test_an_order_may_be_encoded_raw(told: Capture, story: Any) -> None:
    encoded = message("D", *OURS, (11, "a"), *LIMIT).encode(raw=True)
    FixInstrumentor().uninstrument()
    assert encoded.startswith(b"8=FIX.4.4\x0135=D\x01")
    assert [span.name for span in told.spans()] == ["trading.order.submit VENUE", "trading.order.lifecycle"]


def test_who_reads_a_log_of_others_reports_no_orders(told: Capture, story: Any) -> None:
    report = message(
        "8", *THEIRS, (37, "1"), (11, "x"), (17, "E"), (150, "F"), (39, "2"), (32, "1"), (14, "1")
    )
    assert [one.message_type for one in parsed(report)] == [b"8"]
    FixInstrumentor().uninstrument()
    assert (story.spans(), current_tick()) == ([], None)


def test_a_message_without_comp_ids_is_nobodys(told: Capture, story: Any) -> None:
    message("D", (11, "a"), *LIMIT).encode()
    parsed(message("8", (37, "1"), (11, "a"), (150, "0")))
    FixInstrumentor().uninstrument()
    assert story.spans() == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param(((39, "2"), (150, "2"), (20, "0"), (32, "1"), (14, "1")), "filled", id="4.2"),
        pytest.param(
            ((39, "1"), (150, "1"), (20, "0"), (32, "0.5"), (14, "0.5")), "partially_filled", id="4.2 part"
        ),
        pytest.param(((39, "2"), (20, "0"), (32, "1"), (14, "1")), "filled", id="4.0"),
        pytest.param(((39, "2"), (150, "F"), (32, "1"), (14, "1")), "filled", id="4.4"),
    ],
)
def test_a_fill_is_a_fill_in_every_version(told: Capture, story: Any, fields: Any, status: str) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    parsed(message("8", *THEIRS, (37, "7"), (11, "a"), (17, "E1"), (38, "1"), *fields))
    [event] = story.spans("trading.order.event")
    assert (event.name, event.attributes["trading.execution.id"]) == (f"trading.order.event {status}", "E1")


def test_a_venue_that_gives_replacements_an_id_of_their_own_has_two_orders(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R1"), (150, "0"), (39, "0"), (38, "1")))
    message("G", *OURS, (11, "b"), (41, "a"), *LIMIT).encode()
    replaced = (37, "2"), (11, "b"), (41, "a"), (17, "R2"), (150, "5"), (39, "5"), (38, "2"), (14, "0")
    filled = (37, "2"), (11, "b"), (17, "E1"), (150, "F"), (39, "2"), (38, "2"), (32, "2"), (14, "2")
    parsed(message("8", *THEIRS, *replaced), message("8", *THEIRS, *filled))
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.replace VENUE\n"
        "    trading.order.event filled\n"
        "    trading.order.lifecycle\n"
        "  trading.order.event replaced\n"
        "  trading.order.lifecycle"
    )


@pytest.mark.parametrize(
    "later",
    [
        pytest.param((REPLACED_AGAIN, FILLED_AT_LAST), id="by the next acknowledgement"),
        pytest.param((FILLED_AT_LAST,), id="by a fill, which does not name them"),
    ],
)
def test_requests_whose_acknowledgement_is_lost_are_accepted_by_what_comes_later(
    told: Capture, story: Any, later: Any
) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    message("G", *OURS, (11, "b"), (41, "a"), *LIMIT).encode()
    message("G", *OURS, (11, "c"), (41, "b"), *LIMIT).encode()
    parsed(*(message("8", *THEIRS, *fields) for fields in later))
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.replace VENUE\n"
        "    trading.order.replace VENUE\n"
        "  trading.order.event filled\n"
        "  trading.order.lifecycle"
    )
    life = story.spans("trading.order.lifecycle")[0].attributes
    names = ("client_id", "root_client_id", "revision", "status", "executions")
    assert [life[f"trading.order.{name}"] for name in names] == ["c", "a", 2, "filled", 1]
    assert {span.status for span in story.spans()} == {"unset"}


def test_replacements_may_be_sent_before_the_one_before_is_acknowledged(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R1"), (150, "0"), (39, "0"), (38, "1")))
    message("G", *OURS, (11, "b"), (41, "a"), *LIMIT).encode()
    message("G", *OURS, (11, "c"), (41, "b"), *LIMIT).encode()
    replaced = ((37, "1"), (11, "b"), (41, "a"), (17, "R2"), (150, "5"), (39, "0"), (38, "1"), (14, "0"))
    parsed(*(message("8", *THEIRS, *fields) for fields in (replaced, REPLACED_AGAIN, FILLED_AT_LAST)))
    life = [
        [span.attributes[f"trading.order.{name}"] for name in ("client_id", "revision", "status")]
        for span in story.spans("trading.order.lifecycle")
    ]
    assert (life, story.executions()) == ([["c", 2, "filled"]], [("E1", 1)])


def test_a_cancel_accepts_what_it_is_about(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    message("F", *OURS, (11, "b"), (41, "a"), *LIMIT[:2]).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "b"), (41, "a"), (17, "R1"), (150, "4"), (39, "4")))
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.cancel VENUE\n"
        "  trading.order.event canceled\n"
        "  trading.order.lifecycle"
    )


def test_what_is_pending_is_no_answer(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R1"), (150, "A"), (39, "A")))
    assert told.spans() == []
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R2"), (150, "0"), (39, "0")))
    message("F", *OURS, (11, "b"), (41, "a"), *LIMIT[:2]).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "b"), (41, "a"), (17, "R3"), (150, "6"), (39, "6")))
    assert [span.name for span in told.spans()] == ["trading.order.submit VENUE"]
    parsed(message("9", *THEIRS, (37, "1"), (11, "b"), (41, "a"), (39, "0"), (434, "1"), (102, "0")))
    assert [span.status for span in story.spans("trading.order.cancel")] == ["error"]


def test_a_cancel_may_be_reported_under_the_orders_own_name(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R1"), (150, "0"), (39, "0")))
    message("F", *OURS, (11, "b"), (41, "a"), *LIMIT[:2]).encode()
    parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R2"), (150, "4"), (39, "4")))
    assert [span.status for span in story.spans("trading.order.cancel")] == ["unset"]


def test_a_taken_back_fill_is_told_and_changes_no_total(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), *LIMIT).encode()
    fill = (37, "1"), (11, "a"), (17, "E1"), (150, "F"), (39, "1"), (38, "1"), (32, "0.5"), (14, "0.5")
    bust = (
        (37, "1"),
        (11, "a"),
        (17, "E2"),
        (19, "E1"),
        (150, "H"),
        (39, "0"),
        (38, "1"),
        (32, "0.5"),
        (14, "0"),
    )
    parsed(message("8", *THEIRS, *fill), message("8", *THEIRS, *bust))
    late = [span.attributes.get("trading.order.late") for span in story.spans("trading.order.event")]
    life = story.spans("trading.order.lifecycle")[0].attributes
    assert (late, life["trading.order.executions"]) == ([None, True], 1)


def test_a_text_that_repeats_a_secret_is_told_without_it(told: Capture, story: Any) -> None:
    message("D", *OURS, (11, "a"), (1, "ACC-77"), *LIMIT).encode()
    refused = (37, "NONE"), (11, "a"), (1, "ACC-77"), (17, "R1"), (150, "8"), (39, "8"), (103, "15")
    parsed(message("8", *THEIRS, *refused, (58, "Unknown account ACC-77\xfc")))
    attributes = story.spans("trading.order.submit")[0].attributes
    assert attributes["trading.order.reject.message"].startswith("Unknown account [redacted]")


def test_nothing_is_told_in_silence(told: Capture, story: Any) -> None:
    with suppressed():
        message("D", *OURS, (11, "a"), *LIMIT).encode()
        parsed(message("8", *THEIRS, (37, "1"), (11, "a"), (17, "R1"), (150, "0"), (39, "0")))
    parsed(
        message("8", *THEIRS, (37, "1"), (11, "a"), (17, "E1"), (150, "F"), (39, "2"), (32, "1"), (14, "1"))
    )
    FixInstrumentor().uninstrument()
    assert story.spans() == []


def test_the_tick_at_hand_goes_with_the_instrumentor(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("simplefix", venue)
    client.subscribe()
    client.until_tick(venue)
    assert current_tick() is not None
    FixInstrumentor().uninstrument()
    assert current_tick() is None
