"""What the orders of a bot that trades on ticks leave, whichever venue client it uses: a suite to inherit.

The suite tells what is to be seen; the member says how its client places, cancels and watches an order.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, Final, Protocol

import pytest

from tickspan import trading
from tickspan.semconv import trading as names
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan.trading import manual

MakeVenue = Callable[..., VenueSimulator]
Around = Callable[[], AbstractContextManager[Any]]

_ACK_DELAY_S: Final = 0.03
_FILL_DELAY_S: Final = 0.05
_NEVER_S: Final = 60.0
_STAGES: Final = (
    names.LATENCY_TICK_TO_DECISION,
    names.LATENCY_DECISION_TO_WIRE,
    names.LATENCY_WIRE_TO_ACK,
    names.LATENCY_ACK_TO_FIRST_FILL,
)
_TWICE: Final = (0.4, 0.6)
_WHOLE: Final = (1.0, len(_TWICE))


def shown(attributes: Mapping[str, Any], client_id: str | None = None) -> dict[str, Any]:
    """Attributes with what differs between runs replaced by its kind: `seconds`, `time`, `client id`.

    `client_id` is a pattern that ends a value which the client library made up, such as `x-[0-9a-f]+`.
    """
    return {name: _kind(name, value, client_id) for name, value in attributes.items()}


def _kind(name: str, value: Any, client_id: str | None) -> Any:
    if name.startswith("trading.latency."):
        return "seconds"
    if name == names.VENUE_TIME_UNIX_NANO:
        return "time"
    return re.sub(f"{client_id}$", "client id", value) if client_id and isinstance(value, str) else value


class TracedBot(Protocol):
    """What the fixture `bot` gives: it runs a coroutine function on a client of a simulated venue."""

    def run(self, venue: VenueSimulator, body: Callable[[Any], Awaitable[Any]]) -> Any:
        """What `body(client)` returned; all is closed, and due lifecycles are written."""
        ...

    def spans(self) -> list[RecordedSpan]:
        """Finished spans of orders and their causes."""
        ...

    def named(self, name: str) -> list[RecordedSpan]:
        """Those whose name begins so."""
        ...

    def tree(self) -> str:
        """Their outline."""
        ...


class OrderTraces:
    """Inherit as a test class; name venue and executions, and say how an order is placed and watched.

    Needs fixtures `make_venue(**knobs)`, `bot` (a `TracedBot`) and `told`, the capture.
    """

    venue_name: ClassVar[str]
    executions: ClassVar[tuple[str, str]]
    """The venue's ids of the first two executions."""

    async def place(self, bot: Any, client: Any, around: Around = nullcontext, count: int = 1) -> None:
        """At the next tick, and inside `around()`, place `count` orders; they are acknowledged on return."""
        raise NotImplementedError

    async def fill(self, bot: Any, client: Any) -> None:
        """At the next tick place an order, with its reports watched; it is filled on return."""
        raise NotImplementedError

    async def fill_early(self, bot: Any, client: Any) -> None:
        """As `fill`, of an order whose fills come before the answer to its call."""
        await self.fill(bot, client)

    async def settle(self, bot: Any, client: Any, fault: Fault) -> None:
        """As `fill`, of an order filled in two; what `fault` repeats or holds back has come on return."""
        raise NotImplementedError

    async def cancel(self, bot: Any, client: Any) -> None:
        """At the next tick place an order, and cancel it."""
        raise NotImplementedError

    def test_an_order_is_one_trace_from_its_tick_to_its_last_fill(
        self, make_venue: MakeVenue, bot: TracedBot
    ) -> None:
        """Tick, decision, order, each report, lifecycle."""
        bot.run(
            make_venue(partials=_TWICE, fill_delay_s=_FILL_DELAY_S), lambda client: self.fill(bot, client)
        )
        assert bot.tree() == self._placed("event partially_filled", "event filled")
        assert len({span.trace_id for span in bot.spans()}) == 1
        assert [span.kind for span in bot.spans()] == [
            "consumer",
            "internal",
            "client",
            "consumer",
            "consumer",
            "internal",
        ]

    def test_the_stages_of_an_order_add_up(
        self, told: Capture, make_venue: MakeVenue, bot: TracedBot
    ) -> None:
        """From tick to fill, without a gap and without an overlap."""
        venue = make_venue(fill_delay_s=_FILL_DELAY_S, ack_delay_s=_ACK_DELAY_S)
        bot.run(venue, lambda client: self.fill(bot, client))
        life = self._life(bot)
        assert life[names.LATENCY_WIRE_TO_ACK] >= _ACK_DELAY_S
        assert life[names.LATENCY_ACK_TO_FIRST_FILL] >= 0.8 * _FILL_DELAY_S
        assert life[names.LATENCY_TICK_TO_FILL] == pytest.approx(sum(life[stage] for stage in _STAGES))
        assert [point.count for point in told.points(names.METRIC_TICK_TO_TRADE)] == [1]

    def test_several_orders_of_one_tick_share_its_trace(self, make_venue: MakeVenue, bot: TracedBot) -> None:
        """One message, however many orders follow from it."""
        bot.run(make_venue(fill_delay_s=_NEVER_S), lambda client: self.place(bot, client, count=2))
        (tick,) = bot.named(names.SPAN_FEED_MESSAGE)
        submits = bot.named(self._submit)
        assert [(span.trace_id, span.attributes[names.TRIGGER]) for span in submits] == [
            (tick.trace_id, "tick")
        ] * 2

    def test_a_span_of_the_program_is_the_parent_and_the_tick_a_link(
        self, told: Capture, make_venue: MakeVenue, bot: TracedBot
    ) -> None:
        """A program that traces itself keeps its own tree."""
        tracer = told.tracer_provider.get_tracer("the bot")

        def rebalancing() -> AbstractContextManager[Any]:
            return tracer.start_as_current_span("rebalance")

        bot.run(make_venue(fill_delay_s=_NEVER_S), lambda client: self.place(bot, client, rebalancing))
        (tick,) = bot.named(names.SPAN_FEED_MESSAGE)
        (submit,) = bot.named(self._submit)
        assert bot.tree().splitlines() == [
            "rebalance",
            f"  {self._submit}",
            f"    {names.SPAN_ORDER_LIFECYCLE}",
            names.SPAN_FEED_MESSAGE,
        ]
        assert submit.links == ((tick.trace_id, tick.span_id),)

    def test_a_check_before_the_order_is_in_the_trace_of_its_tick(
        self, told: Capture, make_venue: MakeVenue, bot: TracedBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What comes between tick and order has the tick for its root."""
        monkeypatch.setattr(manual.trace, "get_tracer", told.tracer_provider.get_tracer)
        bot.run(make_venue(fill_delay_s=_NEVER_S), lambda client: self.place(bot, client, _checked))
        root, *below = self._placed().splitlines()
        assert bot.tree().splitlines() == [root, "  trading.risk.check size", *below]

    def test_an_order_still_open_at_shutdown_is_told_as_incomplete(
        self, make_venue: MakeVenue, bot: TracedBot
    ) -> None:
        """Its lifecycle says how far it had come."""
        bot.run(make_venue(fill_delay_s=_NEVER_S), lambda client: self.place(bot, client))
        life = self._life(bot)
        assert (life[names.ORDER_COMPLETE], life[names.ORDER_STATUS]) == (False, "new")

    def test_a_canceled_order_is_no_error(self, make_venue: MakeVenue, bot: TracedBot) -> None:
        """The cancel is a call below the order's, and its time is told."""
        bot.run(make_venue(fill_delay_s=_NEVER_S), lambda client: self.cancel(bot, client))
        assert bot.tree() == self._placed(f"cancel {self.venue_name}", "event canceled")
        assert {span.status for span in bot.spans()} == {"unset"}
        (cancel,) = bot.named(f"{names.SPAN_ORDER}.cancel")
        assert cancel.attributes[names.LATENCY_CANCEL_TO_ACK] > 0

    def test_a_fill_before_its_acknowledgement_is_in_the_trace(
        self, make_venue: MakeVenue, bot: TracedBot
    ) -> None:
        """No order of arrival loses a fill; a stage that was not is not told."""
        venue = make_venue(partials=_TWICE)

        async def trade(client: Any) -> None:
            venue.next(Fault.FILL_BEFORE_ACK)
            await self.fill_early(bot, client)

        bot.run(venue, trade)
        (submit,) = bot.named(self._submit)
        assert self._executed(bot) == list(self.executions)
        assert {span.trace_id for span in bot.named(names.SPAN_ORDER)} == {submit.trace_id}
        life = self._life(bot)
        assert (life[names.ORDER_STATUS], life[names.ORDER_EXECUTIONS]) == ("filled", len(self.executions))
        assert names.LATENCY_ACK_TO_FIRST_FILL not in life

    @pytest.mark.parametrize("fault", [Fault.DUPLICATE_EVENT, Fault.REORDER, Fault.LATE_FILL])
    def test_repeated_swapped_and_late_reports_change_no_total(
        self, make_venue: MakeVenue, bot: TracedBot, fault: Fault
    ) -> None:
        """Each execution counts once, and there is one lifecycle."""
        venue = make_venue(partials=_TWICE, late_fill_s=0.02)

        async def trade(client: Any) -> None:
            venue.next(fault)
            await self.settle(bot, client, fault)

        bot.run(venue, trade)
        life = self._life(bot)
        assert sorted(self._executed(bot)) == list(self.executions)
        assert (life[names.ORDER_FILLED_RATIO], life[names.ORDER_EXECUTIONS]) == _WHOLE

    @property
    def _submit(self) -> str:
        return f"{names.SPAN_ORDER}.submit {self.venue_name}"

    def _placed(self, *below: str) -> str:
        """The outline of an order that a tick has caused, with what else is below its call."""
        calls = [f"{names.SPAN_ORDER}.{name}" for name in (f"submit {self.venue_name}", *below, "lifecycle")]
        submit, *rest = calls
        lines = [
            names.SPAN_FEED_MESSAGE,
            f"  {names.SPAN_STRATEGY_DECISION}",
            f"    {submit}",
            *(f"      {name}" for name in rest),
        ]
        return "\n".join(lines)

    @staticmethod
    def _life(bot: TracedBot) -> dict[str, Any]:
        (life,) = bot.named(names.SPAN_ORDER_LIFECYCLE)
        return dict(life.attributes)

    @staticmethod
    def _executed(bot: TracedBot) -> list[Any]:
        """Ids of executions, in the order in which they were told."""
        events = bot.named(names.SPAN_ORDER_EVENT)
        return [
            event.attributes[names.EXECUTION_ID] for event in events if names.EXECUTION_ID in event.attributes
        ]


@contextmanager
def _checked() -> Generator[None]:
    with trading.risk_check("size"):
        pass
    yield
