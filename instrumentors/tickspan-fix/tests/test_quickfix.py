"""QuickFIX's own ways: callbacks in threads of C++, stored messages, resends, applications that say no."""
# ruff: noqa: N802 - QuickFIX calls its application by these names
# and by position: the names `arg0` and `arg1` in its base class are SWIG's.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import quickfix
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from opentelemetry import trace
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan.trading import current_tick
from tickspan_fix import FixInstrumentor, engine
from tickspan_fix.fields import Session

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))
RESTING = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "10000.00"))
NEAR = (*LIMIT[:4], (44, "59970.00"))

TICK_TO_FILL = """\
trading.feed.message
  trading.strategy.decision
    trading.order.submit VENUE
      trading.order.event filled
      trading.order.lifecycle"""


def order(msg_type: str, *fields: tuple[int, Any]) -> Any:
    message: Any = quickfix.Message()
    message.getHeader().setField(quickfix.MsgType(msg_type))
    for tag, value in fields:
        message.setField(quickfix.StringField(tag, value))
    return message


class Hedger:
    """Sends one order out of the callback of the first message of a type."""

    def __init__(self, client: Any, msg_type: str, *fields: tuple[int, Any]) -> None:
        self._client, self._msg_type, self._fields = client, msg_type, fields
        self._is_done = False
        client.app.on_message = self

    def __call__(self, msg_type: str, message: Any) -> None:
        if msg_type == self._msg_type and not self._is_done:
            self._is_done = True
            self._client.send("D", *self._fields)


def test_an_order_out_of_the_callback_of_a_tick_hangs_below_it(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    Hedger(client, "X", (11, "a"), *LIMIT)
    client.subscribe()
    client.until_tick(venue)
    client.until(2)
    assert story.tree() == TICK_TO_FILL
    submit, life = story.spans("trading.order.submit")[0], story.spans("trading.order.lifecycle")[0]
    assert submit.attributes["trading.trigger"] == "tick"
    assert life.attributes["trading.latency.tick_to_trade"] > 0


def test_an_order_of_another_thread_finds_the_newest_tick(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    client.subscribe()
    client.until_tick(venue)
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert story.tree() == TICK_TO_FILL
    assert story.spans("trading.order.submit")[0].attributes["trading.trigger"] == "inferred"


def test_an_order_out_of_the_callback_of_a_fill_is_linked_to_it(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    venue.next(Fault.ACCEPT_THEN_504)
    Hedger(client, "8", (11, "hedge"), *RESTING)
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    fill = story.spans("trading.order.event filled")[0]
    hedge = story.spans("trading.order.submit")[1]
    assert (hedge.attributes["trading.trigger"], hedge.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )


def test_the_programs_span_is_the_parent_and_its_callback_is_inside_the_call(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    tracer = told.tracer_provider.get_tracer("the bot")

    def check(_: Any) -> None:
        tracer.start_span("check").end()

    client.app.before_send = check
    with tracer.start_as_current_span("rebalance"):
        client.send("D", (11, "a"), *RESTING)
        assert trace.get_current_span().get_span_context().span_id == 1
    client.until(1)
    assert story.tree() == ("rebalance\n  trading.order.submit VENUE\n    check\n    trading.order.lifecycle")
    assert current_tick() is None


def test_do_not_send_ends_the_order_here(story: Any, make_venue: MakeVenue, make_client: MakeClient) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)

    def refuse(_: Any) -> None:
        raise quickfix.DoNotSend

    client.app.before_send = refuse
    assert client.send("D", (11, "a"), *LIMIT) is False
    submit, life = story.spans()
    assert (submit.status, life.attributes["trading.order.status"]) == ("error", "rejected")
    names = ("error.type", "trading.order.reject.origin")
    assert [submit.attributes[name] for name in names] == ["quickfix.DoNotSend", "client_library"]
    assert "trading.latency.decision_to_wire" not in life.attributes
    assert [request.path for request in venue.requests] == ["A"]


def test_a_session_that_does_not_exist_raises_as_ever(story: Any, make_venue: MakeVenue) -> None:
    make_venue()
    with pytest.raises(quickfix.SessionNotFound):
        quickfix.Session.sendToTarget(order("D", (11, "a"), *LIMIT), "NOBODY", "NOWHERE")
    [submit, _] = story.spans()
    assert (submit.name, submit.attributes["error.type"]) == (
        "trading.order.submit NOWHERE",
        "quickfix.SessionNotFound",
    )


def test_a_call_that_the_library_does_not_understand_fails_as_ever(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    make_client("quickfix", make_venue())
    with pytest.raises(TypeError, match="overloaded function"):
        quickfix.Session.sendToTarget("no message")
    assert story.spans() == []


def test_a_message_may_name_its_session_in_every_way(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    first, second, third = (order("D", (11, name), *RESTING) for name in "abc")
    names = (quickfix.BeginString("FIX.4.4"), quickfix.SenderCompID("CLIENT"), quickfix.TargetCompID("VENUE"))
    for name in names:
        first.getHeader().setField(name)
    second.getHeader().setField(names[0])
    session: Any = quickfix.Session.lookupSession(client.app.session)
    send = quickfix.Session.sendToTarget
    assert (send(first), send(second, "CLIENT", "VENUE"), session.send(third)) == (True, True, True)
    client.until(3)
    told = [span.attributes["trading.order.client_id"] for span in story.spans("trading.order.submit")]
    assert (told, {span.name for span in story.spans("trading.order.submit")}) == (
        ["a", "b", "c"],
        {"trading.order.submit VENUE"},
    )


def test_an_order_that_would_be_lost_with_the_numbers_is_not_sent(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue, ResetOnDisconnect="Y", ReconnectInterval=60)
    venue.next(Fault.DISCONNECT)
    venue.tick()
    until(lambda: not client.app.is_on)
    assert client.send("D", (11, "a"), *LIMIT) is False
    submit = story.spans("trading.order.submit")[0]
    names = ("error.type", "trading.order.reject.origin", "trading.order.status")
    assert [submit.attributes[name] for name in names] == ["not_logged_on", "client_library", "rejected"]


def test_an_order_that_is_stored_waits_in_the_queue_and_is_sent_once(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    venue.next(Fault.DISCONNECT)
    venue.tick()
    until(lambda: not client.app.is_on)
    assert client.send("D", (11, "a"), *LIMIT) is True
    client.until(2)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.event filled\n  trading.order.lifecycle"
    )
    submit = story.spans("trading.order.submit")[0]
    assert "trading.order.attempt" not in submit.attributes
    assert len(venue.orders) == 1
    [waited] = told.points("trading.order.segment.duration")
    assert (waited.attributes["trading.segment"], waited.value > 0.1) == ("queue_wait", True)


def test_a_stored_order_may_still_be_withheld(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue()
    client = make_client("quickfix", venue)
    venue.next(Fault.DISCONNECT)
    venue.tick()
    until(lambda: not client.app.is_on)
    client.send("D", (11, "a"), *LIMIT)

    def refuse(_: Any) -> None:
        raise quickfix.DoNotSend

    client.app.before_send = refuse
    until(lambda: story.spans("trading.order.submit"))
    submit = story.spans("trading.order.submit")[0]
    assert (submit.attributes["error.type"], submit.attributes["trading.order.status"]) == (
        "quickfix.DoNotSend",
        "rejected",
    )
    assert venue.orders == ()


def test_a_break_before_the_acknowledgement_doubles_nothing(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue(partials=(0.4, 0.6))
    client = make_client("quickfix", venue)
    venue.next(Fault.ACCEPT_THEN_RESET)
    client.send("D", (11, "a"), *LIMIT)
    client.until(3)
    assert [execution for execution, _ in story.executions()] == ["5000001", "5000002"]
    assert story.tree() == (
        "trading.order.submit VENUE\n"
        "  trading.order.event partially_filled\n"
        "  trading.order.event filled\n"
        "  trading.order.lifecycle"
    )


def test_a_new_initiator_goes_on_with_the_orders_of_the_old_one(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue(fill_delay_s=0)
    client = make_client("quickfix", venue)
    client.send("D", (11, "a"), *NEAR)
    client.until(1)
    client.close()
    until(lambda: venue.tick() or venue.executions)
    again = make_client("quickfix", venue)
    again.until(1)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.event filled\n  trading.order.lifecycle"
    )
    assert story.executions() == [("5000001", 1)]


def test_the_same_order_sent_twice_is_one_order_and_an_unsafe_retry(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue(ack_delay_s=0.1))
    client.send("D", (11, "a"), *LIMIT)
    client.send("D", (11, "a"), *LIMIT)
    client.until(3)
    assert sorted(client.got) == ["8", "8", "8"]
    assert len(story.spans("trading.order.submit")) == 1
    life = story.spans("trading.order.lifecycle")[0].attributes
    assert (life["trading.order.status"], life["trading.order.executions"]) == ("filled", 1)
    assert [event.severity for event in told.events("trading.order.unsafe_retry")] == ["ERROR"]


def test_an_answered_order_that_is_sent_again_is_no_new_one(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    again = order("D", (11, "a"), *LIMIT)
    again.getHeader().setField(quickfix.StringField(97, "Y"))
    quickfix.Session.sendToTarget(again, client.app.session)
    client.until(3)
    assert [span.name for span in story.spans()] == [
        "trading.order.submit VENUE",
        "trading.order.event filled",
        "trading.order.lifecycle",
    ]
    assert [event.severity for event in told.events("trading.order.unsafe_retry")] == ["ERROR"]


def test_an_order_without_an_answer_is_given_up_and_its_late_report_tells_its_fate(
    telemetry: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    settings = {"answer_deadline_s": 0.1, "lifecycle_delay_s": 3600, "environment": "simulated"}
    providers = {"tracer_provider": telemetry.tracer_provider, "meter_provider": telemetry.meter_provider}
    FixInstrumentor().instrument(**providers, logger_provider=telemetry.logger_provider, settings=settings)
    try:
        client = make_client("quickfix", make_venue(ack_delay_s=0.4))
        client.send("D", (11, "a"), *LIMIT)
        until(telemetry.spans)
        client.until(2)
    finally:
        FixInstrumentor().uninstrument()
    submit, *events, life = telemetry.spans()
    assert (submit.attributes["error.type"], submit.attributes["trading.order.status"]) == (
        "timeout",
        "unknown",
    )
    assert [span.name for span in events] == ["trading.order.event new", "trading.order.event filled"]
    assert (life.attributes["trading.order.status"], life.trace_id) == ("filled", submit.trace_id)


def test_calls_that_are_under_way_end_with_the_instrumentor(
    telemetry: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    FixInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    client = make_client("quickfix", make_venue(ack_delay_s=60))
    client.send("D", (11, "a"), *LIMIT)
    FixInstrumentor().uninstrument()
    assert [(span.name, span.attributes.get("error.type")) for span in telemetry.spans()] == [
        ("trading.order.submit VENUE", "timeout"),
        ("trading.order.lifecycle", None),
    ]


def test_an_order_that_was_placed_before_is_told_as_unmatched(
    told: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    venue = make_venue(fill_delay_s=0)
    client = make_client("quickfix", venue)
    FixInstrumentor().uninstrument()
    client.send("D", (11, "a"), *NEAR)
    client.until(1)
    FixInstrumentor().instrument(
        tracer_provider=told.tracer_provider,
        meter_provider=told.meter_provider,
        logger_provider=told.logger_provider,
        settings={"waiting_s": 0.05},
    )
    type(client.app)()  # QuickFIX finds callbacks by name: this object's class is the old one's
    until(lambda: venue.tick() or venue.executions)
    until(told.spans)
    [event] = told.spans()
    assert (event.name, event.parent_id, event.attributes["trading.order.matched"]) == (
        "trading.order.event filled",
        None,
        False,
    )


def test_what_was_placed_in_silence_stays_silent_in_every_thread(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    with suppressed():
        client.send("D", (11, "a"), *RESTING)
        client.send("D", (11, "b"), *LIMIT)
        client.until(3)
        client.send("G", (11, "c"), (41, "a"), *RESTING)
        client.until(4)
        client.send("F", (11, "d"), (41, "c"), *LIMIT[:2])
        client.until(5)
    assert story.spans() == []


def test_a_cancel_in_silence_still_ends_an_order_that_is_told(
    story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    client = make_client("quickfix", make_venue())
    client.send("D", (11, "a"), *RESTING)
    client.until(1)
    with suppressed():
        client.send("F", (11, "b"), (41, "a"), *LIMIT[:2])
        client.until(2)
    assert story.tree() == (
        "trading.order.submit VENUE\n  trading.order.event canceled\n  trading.order.lifecycle"
    )


class _Parent(quickfix.Application):
    def __init__(self) -> None:
        super().__init__()
        self.session: Any = None
        self.is_on = False
        self.got: list[str] = []

    def onCreate(self, session: Any) -> None:
        self.session = session

    def onLogon(self, session: Any) -> None:
        self.is_on = True

    def onLogout(self, session: Any) -> None:
        self.is_on = False

    def toAdmin(self, message: Any, session: Any) -> None:
        pass

    def fromAdmin(self, message: Any, session: Any) -> None:
        pass

    def toApp(self, message: Any, session: Any) -> None:
        pass

    def fromApp(self, message: Any, session: Any) -> None:
        self.got.append(message.getHeader().getField(35))


class _Child(_Parent):
    """Passes everything on to its parent, whose objects are told as well."""

    def toApp(self, message: Any, session: Any) -> None:
        super().toApp(message, session)

    def fromApp(self, message: Any, session: Any) -> None:
        super().fromApp(message, session)

    def onLogon(self, session: Any) -> None:
        super().onLogon(session)


def test_a_callback_that_calls_its_parents_tells_once(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    _Parent()
    client = make_client("quickfix", make_venue(partials=(0.4, 0.6)), app=_Child())
    client.send("D", (11, "a"), *LIMIT)
    client.until(3)
    assert [execution for execution, _ in story.executions()] == ["5000001", "5000002"]
    assert "trading.order.attempt" not in story.spans("trading.order.submit")[0].attributes
    [session] = [
        point
        for point in told.points("trading.feed.messages")
        if point.attributes["trading.feed.channel"] == "session"
    ]
    assert session.value == 3


@pytest.mark.parametrize("kind", [quickfix.SocketInitiator, quickfix.ThreadedSocketInitiator])
def test_every_initiator_tells_orders_from_many_threads(
    story: Any, make_venue: MakeVenue, make_client: MakeClient, kind: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6))
    client = make_client("quickfix", venue, kind=kind)

    def trade(name: str) -> None:
        for number in range(5):
            client.send("D", (11, f"{name}{number}"), *LIMIT[:2], (38, "0.01"), *LIMIT[3:])

    threads = [threading.Thread(target=trade, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.until(60)
    submits = {
        span.attributes["trading.order.client_id"]: span.trace_id
        for span in story.spans("trading.order.submit")
    }
    assert dict(story.executions()) == {
        str(fill.execution_id): submits[fill.client_id] for fill in venue.executions
    }
    assert (len(submits), len(set(submits.values())), len(venue.executions)) == (20, 20, 40)


def test_the_applications_class_is_as_it_was_when_the_instrumentor_is_off(
    make_venue: MakeVenue, make_client: MakeClient
) -> None:
    callbacks = ("toApp", "fromApp", "toAdmin", "fromAdmin", "onLogon", "onLogout")
    before = [vars(_Child).get(name) for name in callbacks]
    FixInstrumentor().instrument()
    application = _Child()
    during = [vars(_Child).get(name) for name in callbacks]
    FixInstrumentor().uninstrument()
    assert [was is now for was, now in zip(before, during, strict=True)] == [False] * 6
    assert [vars(_Child).get(name) for name in callbacks] == before
    client = make_client("quickfix", make_venue(), app=application)
    client.send("D", (11, "a"), *RESTING)
    client.until(1)


def test_an_application_that_was_made_before_is_told_from_its_engine_on(
    telemetry: Capture, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    application = _Child()
    FixInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    try:
        client = make_client("quickfix", make_venue(), app=application)
        client.send("D", (11, "a"), *LIMIT)
        client.until(2)
        assert [span.name for span in telemetry.spans()] == [
            "trading.order.submit VENUE",
            "trading.order.event filled",
        ]
    finally:
        FixInstrumentor().uninstrument()


def test_a_synchronized_application_is_told_too(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient
) -> None:
    inner = _Child()
    client = make_client("quickfix", make_venue(), app=_Shared(inner))
    client.send("D", (11, "a"), *LIMIT)
    client.until(2)
    assert [span.name for span in story.spans()][:2] == [
        "trading.order.submit VENUE",
        "trading.order.event filled",
    ]


class _Shared(quickfix.SynchronizedApplication):
    """QuickFIX's lock around an application, with that application's state to look at."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_inner"], name)


def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("entries", "symbol"), [((), None), (((279, "0"),), None), (((55, "BTC/USDT"),), "BTC/USDT")]
)
def test_the_symbol_of_market_data_may_stand_in_its_group(entries: Any, symbol: str | None) -> None:
    message = order("X")
    for tag, value in entries:
        entry: Any = quickfix.Group(268, 279)
        entry.setField(quickfix.StringField(tag, value))
        message.addGroup(entry)
    assert engine.symbol_of(message) == symbol


def test_an_order_whose_sending_failed_in_the_middle_is_unknown(told: Capture, story: Any) -> None:
    here = engine.engine_of(cast("Any", FixInstrumentor()._bench))
    outgoing = here._begin(order("D", (11, "a"), *LIMIT), Session("VENUE", "CLIENT"))
    assert outgoing is not None
    outgoing.sent.was_seen = True
    here.returned(outgoing, is_sent=False)
    attributes = story.spans("trading.order.submit")[0].attributes
    names = ("error.type", "trading.order.status")
    assert [attributes[name] for name in names] == ["send_failed", "unknown"]


class Broker(quickfix.Application):
    """The other side: every order is new, and then filled."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []

    def onCreate(self, session: Any) -> None:
        pass

    def onLogon(self, session: Any) -> None:
        pass

    def onLogout(self, session: Any) -> None:
        pass

    def toAdmin(self, message: Any, session: Any) -> None:
        pass

    def fromAdmin(self, message: Any, session: Any) -> None:
        pass

    def toApp(self, message: Any, session: Any) -> None:
        pass

    def fromApp(self, message: Any, session: Any) -> None:
        self.got.append(message.getHeader().getField(35))
        for number, exec_type, state in ((1, "0", "0"), (2, "F", "2")):
            filled = "1" if exec_type == "F" else "0"
            told = ((37, "1"), (11, message.getField(11)), (17, str(number)), (150, exec_type), (39, state))
            sizes = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (32, filled), (14, filled), (151, "0"))
            quickfix.Session.sendToTarget(order("8", *told, *sizes), session)


def certificate(folder: Path) -> tuple[str, str]:
    """Files of a certificate for this machine, signed by itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    kept, private = folder / "certificate.pem", folder / "key.pem"
    kept.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return str(kept), str(private)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


ALONE = "TICKSPAN_TEST_ALONE"
"""Set in a process that runs one test of this module and nothing else."""


@pytest.mark.parametrize("kind", ["Socket", "ThreadedSocket", "ThreadedSSLSocket"])
def test_a_program_that_is_both_sides_tells_an_order_once(
    request: pytest.FixtureRequest, story: Any, tmp_path: Path, kind: str
) -> None:
    if ALONE in os.environ:
        both_sides(story, tmp_path, kind)
    else:
        in_a_process_of_its_own(request.node.nodeid, request.config.rootpath)


def in_a_process_of_its_own(test: str, root: Path) -> None:
    """Run one test where a crash harms nobody.

    QuickFIX's acceptors crash or hang now and then when they are stopped, without us as well: three tries. A
    test that fails has failed.
    """
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    for _ in range(3):
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = subprocess.run(
                words,
                cwd=root,
                env={**os.environ, ALONE: "1"},
                check=False,
                capture_output=True,
                text=True,
                timeout=45,
            )
            if ended.returncode >= 0:
                assert ended.returncode == 0, ended.stdout
                return
    pytest.fail("QuickFIX has crashed or hung three times")


def both_sides(story: Any, tmp_path: Path, kind: str) -> None:
    """An acceptor and an initiator in one program, which exchange one order."""
    kept, private = certificate(tmp_path)
    common = {
        "SocketAcceptPort": free_port(),
        "SocketConnectHost": "127.0.0.1",
        "HeartBtInt": 30,
        "ReconnectInterval": 1,
        "StartTime": "00:00:00",
        "EndTime": "00:00:00",
        "UseDataDictionary": "N",
        "BeginString": "FIX.4.4",
        "ServerCertificateFile": kept,
        "ServerCertificateKeyFile": private,
        "CertificateVerifyLevel": 0,
    }
    common["SocketConnectPort"] = common["SocketAcceptPort"]

    def started(name: str, application: Any, sender: str, target: str) -> Any:
        role = name.rpartition("Socket")[2]
        ids = {"ConnectionType": role.lower(), "SenderCompID": sender, "TargetCompID": target}
        general, own = ("".join(f"{n}={v}\n" for n, v in part.items()) for part in (common, ids))
        settings: Any = quickfix.SessionSettings()
        settings.setFromString(f"[DEFAULT]\n{general}[SESSION]\n{own}")
        made = getattr(quickfix, name)(application, quickfix.MemoryStoreFactory(), settings)
        made.start()
        return made

    # When they are stopped, a SocketAcceptor may crash and an SSLSocketInitiator hang, without us as well.
    acceptor = "ThreadedSSLSocketAcceptor" if "SSL" in kind else "ThreadedSocketAcceptor"
    broker, trader = Broker(), _Child()
    engines = [
        started(acceptor, broker, "BROKER", "TRADER"),
        started(f"{kind}Initiator", trader, "TRADER", "BROKER"),
    ]
    try:
        until(lambda: trader.is_on)
        quickfix.Session.sendToTarget(order("D", (11, "a"), *LIMIT), trader.session)
        until(lambda: len(trader.got) == 2)
    finally:
        for one in reversed(engines):
            one.stop(force=True)
    assert broker.got == ["D"]
    assert story.tree() == (
        "trading.order.submit BROKER\n  trading.order.event filled\n  trading.order.lifecycle"
    )
