"""What waits for the venue's word, without a venue: ids, numbers, deadlines, and the end of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tickspan.instrumentation import Guard
from tickspan.testing.capture import Capture
from tickspan.trading import OrderCall, OrderOperation, OrderRequest, Orders
from tickspan_fix import calls as calls_module
from tickspan_fix.calls import Calls, Sent
from tickspan_fix.fields import Session

HERE = Session("VENUE", "CLIENT")


@pytest.fixture
def calls() -> Generator[Calls]:
    made = Calls(time.monotonic_ns, Guard("test", "deadline"), deadline_s=3600)
    yield made
    made.close()


@pytest.fixture
def send(telemetry: Capture, calls: Calls) -> Generator[Callable[..., Sent]]:
    """Adds a message under an id."""
    provider = telemetry.tracer_provider
    orders = Orders(provider.get_tracer("test"), telemetry.meter_provider.get_meter("test"))

    def make(
        client_id: str, operation: OrderOperation = OrderOperation.SUBMIT, original: str | None = None
    ) -> Sent:
        request = OrderRequest(
            operation, "VENUE", "quickfix", client_id=client_id, original_client_id=original
        )
        sent = Sent(orders.begin(request), HERE, "D", client_id)
        calls.add(sent)
        return sent

    yield make
    orders.close()


def acknowledge(call: OrderCall) -> None:
    call.acknowledge()


def test_a_message_is_found_by_id_by_number_and_by_what_it_cancels(calls: Calls, send: Any):
    order, cancel = send("a"), send("b", OrderOperation.CANCEL, "a")
    calls.numbered(order, 7)
    assert calls.waiting(HERE, "a") is order
    assert calls.waiting_as(HERE, 7) is order
    assert calls.waiting_cancel(HERE, "a") is cancel
    assert [calls.waiting(Session("OTHER", "CLIENT"), "a"), calls.waiting(HERE, None)] == [None, None]
    assert [calls.waiting_as(HERE, None), calls.waiting_cancel(HERE, None)] == [None, None]


def test_a_question_does_not_hide_the_order_it_is_about(calls: Calls, send: Any):
    order, question = send("a"), send("a", OrderOperation.QUERY)
    assert (calls.waiting(HERE, "a"), calls.waiting(HERE, "a", is_query=True)) == (order, question)


def test_an_answered_message_waits_no_longer_and_is_remembered(calls: Calls, send: Any):
    sent = send("a")
    calls.numbered(sent, 7)
    calls.end(sent, acknowledge)
    calls.end(sent, lambda call: call.fail("late"))
    calls.numbered(sent, 8)
    assert [calls.waiting(HERE, "a"), calls.waiting_as(HERE, 7), calls.waiting_as(HERE, 8)] == [None] * 3
    assert (calls.sent_as(HERE, "a"), repr(sent)) == (sent, "<Sent D a over>")


def test_the_oldest_ids_are_forgotten(calls: Calls, send: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls_module, "MAX_REMEMBERED", 2)
    for client_id in "abc":
        calls.end(send(client_id), acknowledge)
    calls.silence(HERE, "d")
    assert [calls.sent_as(HERE, client_id) is not None for client_id in "abcd"] == [False, False, True, False]
    assert [calls.is_silent(HERE, client_id) for client_id in "abcd"] == [False, False, False, True]


def test_what_has_waited_too_long_is_given_up(telemetry: Capture, send: Any):
    short = Calls(time.monotonic_ns, Guard("test", "deadline"), deadline_s=0.05)
    answered, lost = send("a"), send("b")
    short.add(answered)
    short.add(lost)
    short.end(answered, acknowledge)
    deadline = time.monotonic() + 5
    while not lost.is_over and time.monotonic() < deadline:
        time.sleep(0.005)
    short.close()
    told = {
        span.attributes["trading.order.client_id"]: span.attributes.get("error.type")
        for span in telemetry.spans()
    }
    assert told == {"a": None, "b": "timeout"}


def test_a_deadline_is_watched_again_after_a_pause(send: Any):
    short = Calls(time.monotonic_ns, Guard("test", "deadline"), deadline_s=0.02)
    for client_id in "ab":
        sent = send(client_id)
        short.add(sent)
        deadline = time.monotonic() + 5
        while not sent.is_over and time.monotonic() < deadline:
            time.sleep(0.005)
        assert sent.is_over
    short.close()


def test_closing_ends_what_waits(calls: Calls, send: Any):
    sent = send("a")
    assert repr(calls) == "<Calls 1 waiting>"
    calls.close()
    assert (sent.is_over, sent.call.is_open, repr(calls)) == (True, False, "<Calls 0 waiting>")


def test_a_forked_child_waits_for_nothing_of_its_parents(calls: Calls, send: Any):
    sent = send("a")
    calls.after_fork_in_child()
    assert (calls.waiting(HERE, "a"), calls.sent_as(HERE, "a"), sent.is_over) == (None, None, False)
    sent.call.acknowledge()
