"""The registry: matching, waiting, bounds, placement in traces; spans as they come out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.trading import (
    Clock,
    Execution,
    OrderOperation,
    OrderRequest,
    Orders,
    OrderStatistics,
    OrderStatus,
    OrderUpdate,
    Point,
    RecentTicks,
    Reject,
    Source,
    TickKind,
    TickRef,
    TradingSettings,
    tick_scope,
)

SECOND = 1_000_000_000
MakeOrders = Callable[..., Orders]


class Watch:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND

    def clock(self) -> Clock:
        return Clock(lambda: self.now_ns, lambda: self.now_ns)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def make_orders(telemetry: Capture, watch: Watch) -> Generator[MakeOrders]:
    tracer = telemetry.tracer_provider.get_tracer("test")
    meter = telemetry.meter_provider.get_meter("test")
    made: list[Orders] = []

    def make(**settings: Any) -> Orders:
        known = replace(TradingSettings(lifecycle_delay_s=3600, waiting_s=3600), **settings)
        made.append(Orders(tracer, meter, known, clock=watch.clock()))
        return made[-1]

    yield make
    for orders in made:
        orders.close()


def submit(client_id: str | None = "c-1", **known: Any) -> OrderRequest:
    return OrderRequest(OrderOperation.SUBMIT, "sim", "test", client_id=client_id, **known)


def report(status: OrderStatus, venue_id: str | None = "v-1", **known: Any) -> OrderUpdate:
    return OrderUpdate("sim", known.pop("source", Source.USER_STREAM), status, venue_id=venue_id, **known)


def names(telemetry: Capture) -> list[str]:
    return [span.name.removeprefix("trading.") for span in telemetry.spans()]


def test_an_order_is_told_from_its_call_to_its_end(make_orders: MakeOrders, telemetry: Capture) -> None:
    orders = make_orders()
    call = orders.begin(submit())
    call.mark(Point.SENT)
    call.acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    orders.observe(report(OrderStatus.FILLED, executions=(Execution("x-1"),)))
    orders.close()
    assert telemetry.tree() == (
        "trading.order.submit sim\n  trading.order.event filled\n  trading.order.lifecycle"
    )


def test_an_order_that_waits_for_its_answer_is_written_down_and_settled_by_it(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    """What is pending when the process dies, the agent tells as abandoned."""
    call = make_orders().begin(submit())
    (waiting,) = telemetry.sink.pending.values()
    assert b"trading.order.submit sim" in waiting.body
    call.acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    assert telemetry.sink.pending == {}


def test_a_report_before_the_answer_waits_and_is_matched_by_the_venues_id(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    call = orders.begin(submit(client_id=None))
    orders.observe(report(OrderStatus.FILLED))
    waiting = orders.statistics().waiting
    call.acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    assert (waiting, orders.statistics().waiting) == (1, 0)
    assert names(telemetry) == ["order.submit sim", "order.event filled"]
    assert telemetry.spans()[1].parent_id == telemetry.spans()[0].span_id


def test_a_report_before_the_answer_is_matched_at_once_by_the_clients_id(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    call = orders.begin(submit())
    orders.observe(report(OrderStatus.FILLED, client_id="c-1"))
    assert names(telemetry) == ["order.event filled"]
    call.acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    assert telemetry.spans()[0].attributes["trading.order.status"] == "filled"


def test_an_order_whose_answer_was_lost_is_found_by_a_query_that_names_it(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    lost = orders.begin(submit())
    lost.mark(Point.SENT)
    lost.fail("TimeoutError")
    query = orders.begin(OrderRequest(OrderOperation.QUERY, "sim", "test", venue_id="v-1"))
    query.acknowledge(
        [report(OrderStatus.FILLED, client_id="c-1", source=Source.POLL, executions=(Execution("x-1"),))]
    )
    orders.observe(report(OrderStatus.FILLED, executions=(Execution("x-1"),)))
    submitted, asked, event = telemetry.spans()
    assert [span.name for span in (asked, event)] == ["trading.order.query sim", "trading.order.event filled"]
    assert event.parent_id == submitted.span_id
    assert asked.attributes["trading.order.client_id"] == "c-1"
    assert orders.statistics() == OrderStatistics(open=0, unknown=0, waiting=0, unmatched=0, evicted=0)


@pytest.mark.parametrize("operation", [OrderOperation.CANCEL, OrderOperation.QUERY])
def test_the_client_id_in_an_answer_never_leads_to_an_order_with_another_venue_id(
    make_orders: MakeOrders, telemetry: Capture, operation: OrderOperation
) -> None:
    orders = make_orders()
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    call = orders.begin(OrderRequest(operation, "sim", "test", venue_id="v-2"))
    call.acknowledge(
        [report(OrderStatus.CANCELED, "v-2", client_id="c-1", source=Source.REST_RESPONSE)],
    )
    assert names(telemetry) == ["order.submit sim", f"order.{operation} sim"]
    assert orders.statistics().open == 1


def test_the_client_id_in_the_answer_to_a_cancel_is_the_cancels_own(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    lost = orders.begin(submit())
    lost.mark(Point.SENT)
    lost.fail("TimeoutError")
    call = orders.begin(OrderRequest(OrderOperation.CANCEL, "sim", "test", venue_id="v-2"))
    call.acknowledge(
        [report(OrderStatus.CANCELED, "v-2", client_id="c-1", source=Source.REST_RESPONSE)],
    )
    assert names(telemetry) == ["order.submit sim", "order.cancel sim"]
    assert orders.statistics().unknown == 1


def test_a_pushed_report_that_nobody_claims_is_a_root_of_its_own(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    orders.observe(report(OrderStatus.FILLED))
    orders.close()
    (event,) = telemetry.spans()
    assert (event.name, event.parent_id) == ("trading.order.event filled", None)
    assert event.attributes["trading.order.matched"] is False
    assert orders.statistics().unmatched == 1


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ({"executions": (Execution("x-1", Decimal(1)),)}, "partially_filled"),
        ({"filled_quantity": Decimal(1)}, "partially_filled"),
        ({"executions": (Execution("x-1", Decimal(2)),), "quantity": Decimal(2)}, "filled"),
        ({}, "unknown"),
    ],
)
def test_an_execution_that_nobody_claims_says_how_its_order_stands(
    make_orders: MakeOrders, telemetry: Capture, known: dict[str, Any], status: str
) -> None:
    orders = make_orders()
    orders.observe(OrderUpdate("sim", Source.USER_STREAM, venue_id="v-1", **known))
    orders.close()
    (event,) = telemetry.spans()
    assert (event.name, event.attributes["trading.order.status"]) == (f"trading.order.event {status}", status)


def test_an_unclaimed_report_is_told_after_its_wait_and_not_before(
    make_orders: MakeOrders, telemetry: Capture, watch: Watch
) -> None:
    orders = make_orders(waiting_s=0.05)
    orders.observe(report(OrderStatus.FILLED))
    pause = threading.Event()
    early = [names(telemetry) for _ in range(10) if not pause.wait(0.01)]
    watch.now_ns += SECOND
    waits = (names(telemetry) for _ in range(500) if not pause.wait(0.01))
    assert [seen for seen in early if seen] == []
    assert next(seen for seen in waits if seen) == ["order.event filled"]


def test_a_polled_report_of_an_unknown_order_is_ignored(make_orders: MakeOrders, telemetry: Capture) -> None:
    orders = make_orders()
    orders.observe(report(OrderStatus.FILLED, source=Source.POLL))
    orders.close()
    assert (telemetry.spans(), orders.statistics().waiting) == ([], 0)


def test_accounts_with_equal_ids_are_told_apart(make_orders: MakeOrders, telemetry: Capture) -> None:
    orders = make_orders()
    orders.begin(submit(account="one")).acknowledge()
    orders.observe(report(OrderStatus.FILLED, client_id="c-1", account="two"))
    orders.observe(report(OrderStatus.CANCELED, client_id="c-1", account="one"))
    assert names(telemetry) == ["order.submit sim", "order.event canceled"]


def test_an_account_leaves_as_a_hash_and_only_with_a_salt(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    make_orders().begin(submit(account="DU123")).acknowledge()
    make_orders(salt="pepper").begin(submit(account="DU123")).acknowledge()
    hashes = [span.attributes.get("trading.account.hash") for span in telemetry.spans()]
    assert hashes == [None, "7d4c0186324e"]
    assert "DU123" not in repr(telemetry.spans())


def test_the_tick_at_hand_is_the_root_and_shared(
    make_orders: MakeOrders, telemetry: Capture, watch: Watch
) -> None:
    orders = make_orders()
    with tick_scope(TickRef("sim", watch.now_ns, instrument="A/B", channel="ticker")):
        watch.now_ns += SECOND
        orders.begin(submit("c-1")).acknowledge()
        orders.begin(submit("c-2")).acknowledge()
    assert telemetry.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n    trading.order.submit sim\n"
        "  trading.strategy.decision\n    trading.order.submit sim"
    )


def test_an_old_tick_is_no_cause(make_orders: MakeOrders, telemetry: Capture, watch: Watch) -> None:
    orders = make_orders(max_tick_age_s=5)
    with tick_scope(TickRef("sim", watch.now_ns)):
        watch.now_ns += 6 * SECOND
        orders.begin(submit()).acknowledge()
    assert [(span.name, span.attributes["trading.trigger"]) for span in telemetry.spans()] == [
        ("trading.order.submit sim", "manual")
    ]


def test_the_newest_tick_of_the_instrument_is_inferred_while_it_is_young(
    make_orders: MakeOrders, telemetry: Capture, watch: Watch
) -> None:
    orders, recent = make_orders(inferred_window_s=0.25), RecentTicks()
    recent.note(TickRef("sim", watch.now_ns, instrument="A/B"))
    watch.now_ns += SECOND // 5
    orders.begin(submit("c-1", instrument="A/B"), recent=recent).acknowledge()
    orders.begin(submit("c-2", instrument="C/D"), recent=recent).acknowledge()
    watch.now_ns += SECOND // 10
    orders.begin(submit("c-3", instrument="A/B"), recent=recent).acknowledge()
    submits = [span for span in telemetry.spans() if span.kind == "client"]
    assert [span.attributes["trading.trigger"] for span in submits] == ["inferred", "manual", "manual"]


def test_an_order_after_a_report_links_to_the_event(
    make_orders: MakeOrders, telemetry: Capture, watch: Watch
) -> None:
    orders = make_orders()
    orders.begin(submit("c-1")).acknowledge()
    reports = orders.observe(report(OrderStatus.FILLED, client_id="c-1"))
    with tick_scope(TickRef("sim", watch.now_ns, kind=TickKind.ORDER, reports=reports)):
        orders.begin(submit("c-2")).acknowledge()
    event, hedge = telemetry.spans()[1], telemetry.spans()[-1]
    assert hedge.links == ((event.trace_id, event.span_id),)
    assert hedge.attributes["trading.trigger"] == "order_event"


def test_events_of_an_old_order_start_a_trace_that_links_to_it(
    make_orders: MakeOrders, telemetry: Capture, watch: Watch
) -> None:
    orders = make_orders(event_window_s=900)
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    watch.now_ns += 901 * SECOND
    orders.observe(report(OrderStatus.FILLED))
    call, event = telemetry.spans()
    assert (event.parent_id, event.links) == (None, ((call.trace_id, call.span_id),))


def test_a_change_in_place_keeps_the_entry_and_counts_a_revision(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    change = OrderRequest(OrderOperation.REPLACE, "sim", "test", venue_id="v-1", client_id="c-2")
    orders.begin(change).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE, client_id="c-2")])
    orders.observe(report(OrderStatus.FILLED, venue_id=None, client_id="c-2"))
    orders.close()
    lives = [span for span in telemetry.spans() if span.name == "trading.order.lifecycle"]
    assert [life.attributes["trading.order.revision"] for life in lives] == [1]
    assert names(telemetry).count("order.event filled") == 1


def test_a_refused_replacement_leaves_the_order_as_it_was(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    change = OrderRequest(OrderOperation.REPLACE, "sim", "test", venue_id="v-1")
    orders.begin(change).fail("sim:1", Reject("sim:1"))
    orders.close()
    lives = [span for span in telemetry.spans() if span.name == "trading.order.lifecycle"]
    assert [life.attributes["trading.order.status"] for life in lives] == ["new"]


def test_an_order_on_its_way_at_shutdown_is_told_as_incomplete(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    call = orders.begin(submit())
    orders.close()
    (life,) = telemetry.spans()
    assert (life.attributes["trading.order.status"], life.attributes["trading.order.complete"]) == (
        "pending_new",
        False,
    )
    assert life.parent_id == call.span.get_span_context().span_id


def test_a_call_ends_once(make_orders: MakeOrders, telemetry: Capture) -> None:
    call = make_orders().begin(submit())
    call.acknowledge()
    call.fail("too late")
    call.acknowledge()
    assert [(span.name, span.status) for span in telemetry.spans()] == [("trading.order.submit sim", "unset")]


def test_the_registry_is_bounded_and_counts_what_had_to_leave(make_orders: MakeOrders) -> None:
    orders = make_orders(max_orders=10, max_waiting=5)
    for number in range(25):
        orders.begin(submit(f"c-{number}")).acknowledge()
        orders.observe(report(OrderStatus.NEW, f"nobody-{number}"))
    assert orders.statistics() == OrderStatistics(open=10, unknown=0, waiting=5, unmatched=20, evicted=15)


def test_ended_orders_leave_after_a_while_and_before_open_ones(make_orders: MakeOrders, watch: Watch) -> None:
    orders = make_orders(max_orders=2, terminal_ttl_s=900)
    orders.begin(submit("open")).acknowledge()
    orders.begin(submit("ended")).fail("x", Reject("x"))
    orders.begin(submit("next")).acknowledge()
    assert orders.statistics().evicted == 0
    assert orders.statistics().open == 2


def test_the_lifecycle_is_written_after_its_delay_without_being_asked(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders(lifecycle_delay_s=0.01)
    orders.begin(submit()).fail("x", Reject("x"))
    deadline = threading.Event()
    waits = (names(telemetry) for _ in range(500) if not deadline.wait(0.01))
    assert next(seen for seen in waits if "order.lifecycle" in seen)[-1] == "order.lifecycle"


@pytest.mark.integration
def test_a_forked_child_tells_no_lives_of_its_parents_orders(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])
    child = os.fork()
    if child == 0:
        orders.observe(report(OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal(1)))
        trading.shutdown()
        told = names(telemetry)
        os._exit(0 if told == ["order.submit sim", "order.event partially_filled"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_reports_from_many_threads_lose_nothing(make_orders: MakeOrders, telemetry: Capture) -> None:
    orders = make_orders()
    orders.begin(submit()).acknowledge([report(OrderStatus.NEW, source=Source.REST_RESPONSE)])

    def fill(offset: int) -> None:
        for number in range(20):
            execution = Execution(f"x-{offset + number}", Decimal(1))
            orders.observe(report(OrderStatus.PARTIALLY_FILLED, executions=(execution,)))

    threads = [threading.Thread(target=fill, args=(20 * part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    orders.close()
    life = telemetry.spans()[-1]
    assert life.attributes["trading.order.executions"] == 80
    assert names(telemetry).count("order.event partially_filled") == 80


def test_a_call_by_which_the_venue_makes_several_orders_has_them_all(
    make_orders: MakeOrders, telemetry: Capture
) -> None:
    orders = make_orders()
    orders.observe(report(OrderStatus.FILLED, "v-2", executions=(Execution("x-2"),)))
    call = orders.begin(submit(None))
    call.acknowledge(
        [report(OrderStatus.NEW, f"v-{number}", source=Source.REST_RESPONSE) for number in (1, 2, 3)]
    )
    orders.observe(report(OrderStatus.FILLED, "v-1", executions=(Execution("x-1"),)))
    orders.observe(report(OrderStatus.CANCELED, "v-3"))
    assert orders.statistics() == OrderStatistics(open=0, unknown=0, waiting=0, unmatched=0, evicted=0)
    orders.close()
    assert telemetry.tree() == (
        "trading.order.submit sim\n"
        "  trading.order.event filled\n"
        "  trading.order.event filled\n"
        "  trading.order.event canceled\n"
        "  trading.order.lifecycle\n"
        "  trading.order.lifecycle\n"
        "  trading.order.lifecycle"
    )
