"""Transactions whose beginning and end do not stand in one block."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest
from opentelemetry import trace

from tickspan.semconv.common import ERROR_TYPE
from tickspan.testing.capture import Capture
from tickspan.trading import start_transaction, transaction, transactions
from tickspan.trading.manual import trace as manual_trace


@pytest.fixture(autouse=True)
def _global(telemetry: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def tracer(name: str) -> trace.Tracer:
        return telemetry.tracer_provider.get_tracer(name)

    monkeypatch.setattr(transactions.trace, "get_tracer", tracer)
    monkeypatch.setattr(manual_trace, "get_tracer", tracer)


def in_own_context(run: Callable[[], None]) -> None:
    """What a test leaves current is forgotten with its context."""
    contextvars.copy_context().run(run)


def test_a_transaction_that_has_begun_is_above_what_follows_until_it_is_finished(telemetry: Capture) -> None:
    def run() -> None:
        rebalance = start_transaction("rebalance", book="eu")
        with transaction("load"):
            pass
        rebalance.finish()
        with transaction("later"):
            pass

    in_own_context(run)
    rebalance, load, later = telemetry.spans()
    assert (load.name, load.parent_id) == ("load", rebalance.span_id)
    assert (rebalance.name, rebalance.parent_id, rebalance.attributes) == ("rebalance", None, {"book": "eu"})
    assert (later.name, later.parent_id) == ("later", None)


def test_the_id_of_its_trace_is_told(telemetry: Capture) -> None:
    ids: list[str] = []

    def run() -> None:
        begun = start_transaction("begun")
        with transaction("inner") as inner:
            ids.extend((begun.trace_id, inner.trace_id))
        begun.finish()

    in_own_context(run)
    begun, _ = telemetry.spans()
    assert ids == [f"{begun.trace_id:032x}"] * 2


def test_an_error_fails_it_by_type_only(telemetry: Capture) -> None:
    in_own_context(lambda: start_transaction("rebalance").finish(ValueError("account 4711")))
    (span,) = telemetry.spans()
    assert (span.status, span.attributes) == ("error", {ERROR_TYPE: "ValueError"})


def test_it_is_finished_once(telemetry: Capture) -> None:
    def run() -> None:
        begun = start_transaction("rebalance")
        begun.finish()
        begun.finish(ValueError())

    in_own_context(run)
    (span,) = telemetry.spans()
    assert span.status == "unset"


def test_transactions_that_overlap_may_be_finished_in_any_order(telemetry: Capture) -> None:
    def run() -> None:
        first, second = start_transaction("first"), start_transaction("second")
        first.finish()
        second.finish()
        with transaction("later"):
            pass

    in_own_context(run)
    assert {span.name: span.parent_id is None for span in telemetry.spans()} == {
        "first": True,
        "second": False,
        "later": True,
    }


def test_it_may_be_finished_in_another_thread_and_in_another_task(telemetry: Capture) -> None:
    async def run() -> None:
        by_thread, by_task = start_transaction("by thread"), start_transaction("by task")
        thread = threading.Thread(target=by_thread.finish)
        thread.start()
        thread.join()

        async def finish() -> None:
            by_task.finish()

        await asyncio.create_task(finish())

    in_own_context(lambda: asyncio.run(run()))
    assert [span.name for span in telemetry.spans()] == ["by thread", "by task"]


def test_it_tells_what_it_is() -> None:
    shown: list[str] = []

    def run() -> None:
        begun = start_transaction("rebalance")
        begun.finish()
        shown.extend((repr(begun), begun.trace_id))

    in_own_context(run)
    assert shown[0] == f"<Transaction rebalance {shown[1]} finished>"


@pytest.mark.parametrize("name", ["", None])
def test_a_name_is_needed(name: str) -> None:
    with pytest.raises(TypeError, match="name must be a non-empty str"):
        start_transaction(name)
