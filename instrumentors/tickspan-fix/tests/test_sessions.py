"""FIX sessions as streams: connected, alive, what is missing, and the venue's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import quickfix
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_fix import FixInstrumentor
from tickspan_fix.desk import desk_of
from tickspan_fix.fields import Session

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

LIBRARIES = pytest.mark.parametrize("library", ["quickfix", "simplefix"])
LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))


def values(told: Capture, metric: str) -> dict[str, float]:
    """A metric of streams, by channel."""
    return {point.attributes["trading.feed.channel"]: point.value for point in told.points(metric)}


def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


@LIBRARIES
def test_a_session_that_is_logged_on_is_a_stream_that_is_open(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    client = make_client(library, make_venue())
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert values(told, "trading.stream.connected") == {"session": 1}
    assert values(told, "trading.feed.messages") == {"session": 2}
    assert values(told, "trading.feed.sequence_gaps") == {"session": 0}


@LIBRARIES
def test_market_data_is_a_stream_of_its_own(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    client.subscribe()
    client.until_tick(venue)
    assert values(told, "trading.feed.messages") == {"session": 2, "market_data": 2}


@LIBRARIES
def test_a_logon_tells_the_venues_clock(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    make_client(library, make_venue(clock_skew_s=30))
    [point] = told.points("trading.clock.offset")
    assert point.attributes["trading.clock.source"] == "fix_logon"
    assert point.value == pytest.approx(30, abs=1)


@LIBRARIES
def test_a_jump_in_the_numbers_is_a_gap(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient, library: str
) -> None:
    venue = make_venue()
    client = make_client(library, venue)
    client.subscribe()
    venue.next(Fault.SEQUENCE_GAP)
    venue.tick()
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert values(told, "trading.feed.sequence_gaps")["session"] >= 1
    event = told.events("trading.feed.gap")[0]
    assert (event.severity, event.attributes["trading.feed.expected_sequence"]) == ("WARN", 3)
    assert event.attributes["trading.feed.missing_count"] >= 7


def test_quickfix_that_asks_again_at_its_logon_has_no_gap(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    venue.next(Fault.ACCEPT_THEN_RESET)
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert values(told, "trading.feed.sequence_gaps") == {"session": 0}
    assert values(told, "trading.stream.reconnects") == {"session": 1}


def test_a_broken_connection_stays_watched_and_a_stopped_engine_does_not(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue, ReconnectInterval=60)
    venue.next(Fault.DISCONNECT)
    venue.tick()
    until(lambda: not client.app.is_on)
    assert values(told, "trading.stream.connected") == {"session": 0}
    client.close()
    again = make_client("quickfix", venue)
    assert values(told, "trading.stream.connected") == {"session": 1}
    again.close()
    assert values(told, "trading.stream.connected") == {}


def test_a_logout_by_the_program_closes_the_stream(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    session: Any = quickfix.Session.lookupSession(client.app.session)
    session.logout()
    until(lambda: not client.app.is_on)
    assert values(told, "trading.stream.connected") == {}


def test_simplefix_sees_a_session_end_by_a_logout(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("simplefix", venue)
    venue.next(Fault.BAN_418)
    client.send("D", (11, "a"), *LIMIT)
    with pytest.raises(AssertionError, match="the venue has ended the connection"):
        client.until(1)
    assert values(told, "trading.stream.connected") == {"session": 0}


def test_a_heartbeat_is_a_sign_of_life(told: Capture, make_venue: MakeVenue, make_client: MakeClient) -> None:
    client = make_client("quickfix", make_venue(), HeartBtInt=1)
    bench: Any = FixInstrumentor()._bench
    feed = desk_of(bench, "quickfix").sessions.of(Session("VENUE", "CLIENT")).feed
    before = feed.heard_ns
    until(lambda: feed.heard_ns)
    assert (before, client.app.is_on) == (None, True)


def test_an_exception_out_of_a_callback_that_ends_the_loop_is_told_first(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())

    def fail(msg_type: str, message: Any) -> None:
        message.getField(9_999)

    client.app.on_message = fail
    client.send("D", (11, "a"), *LIMIT)
    until(lambda: told.events("trading.feed.handler_error"))
    event = told.events("trading.feed.handler_error")[0]
    assert (event.severity, event.attributes["error.type"]) == ("ERROR", "quickfix.FieldNotFound")

    def decline(msg_type: str, message: Any) -> None:
        raise quickfix.UnsupportedMessageType

    client.app.on_message = decline
    before = values(told, "trading.feed.handler_errors")
    client.send("D", (11, "b"), *LIMIT)
    until(lambda: values(told, "trading.feed.messages")["session"] >= 4)
    assert values(told, "trading.feed.handler_errors") == before
