"""A live node with a venue and a feed of its own, and back-tests: shared by the tests of this member."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import Environment
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import (
    LiveDataClientConfig,
    LiveDataEngineConfig,
    LiveExecClientConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderSide
from nautilus_trader.model.identifiers import AccountId, ClientId, TradeId, TraderId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan_nautilus import NautilusInstrumentor

INSTRUMENT: Any = TestInstrumentProvider.btcusdt_binance()
VENUE = "BINANCE"
PATIENCE_S = 20

Play = Callable[["ScriptedVenue", Any], Awaitable[None]]
Act = Callable[["ScriptedStrategy", Any], None]


def quantity(text: str) -> Any:
    return Quantity.from_str(text).__class__(float(text), INSTRUMENT.size_precision)


def price(value: float) -> Any:
    return Price(value, INSTRUMENT.price_precision)


class ScriptedStrategy(Strategy):  # pyright: ignore[reportUntypedBaseClass] - the library has no types
    """At its n-th tick it does `acts[n]`, at an event what `acts` has under the name of the event's class."""

    def __init__(self, acts: Mapping[Any, Act], config: Any = None) -> None:
        super().__init__(config)
        self.acts = acts
        self.ticks = 0
        self.is_ready = asyncio.Event()
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.draws: list[Any] = []

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self.is_ready.set()

    def on_quote_tick(self, tick: Any) -> None:
        self.ticks += 1
        self._act(self.ticks, tick)

    def on_event(self, event: Any) -> None:
        self._act(type(event).__name__, event)
        self.events.put_nowait(event)

    def _act(self, name: Any, cause: Any) -> None:
        act = self.acts.get(name)
        if act is not None:
            act(self, cause)

    def buy(self, size: str = "0.010000", at: float | None = None, **options: Any) -> Any:
        """A market order, or a limit order where a price is given."""
        factory = self.order_factory
        if at is None:
            order = factory.market(INSTRUMENT.id, OrderSide.BUY, quantity(size), **options)
        else:
            order = factory.limit(INSTRUMENT.id, OrderSide.BUY, quantity(size), price(at), **options)
        self.submit_order(order)
        return order

    def the_order(self) -> Any:
        return self.cache.orders()[-1]


class ScriptedVenue(LiveExecutionClient):
    """An execution client whose venue does what `plays` has under the name of a command's class."""

    def __init__(self, loop: Any, msgbus: Any, cache: Any, clock: Any, plays: Mapping[str, Play]) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(VENUE),
            venue=Venue(VENUE),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self.plays = plays
        self.trades = 0
        self.executions: list[str] = []
        self._set_account_id(AccountId(f"{VENUE}-1234567"))

    async def _connect(self) -> None:
        free = Money(1_000_000, USDT)
        balance = AccountBalance(free, Money(0, USDT), free)
        self.generate_account_state([balance], [], reported=True, ts_event=self._clock.timestamp_ns())

    async def _disconnect(self) -> None:
        pass

    async def _play(self, command: Any) -> None:
        await self.plays[type(command).__name__](self, command)

    _submit_order = _submit_order_list = _modify_order = _cancel_order = _play
    _cancel_all_orders = _batch_cancel_orders = _query_order = _play

    def submitted(self, order: Any) -> None:
        self.generate_order_submitted(*_names(order), self._now())

    def accepted(self, order: Any, venue_id: str | None = None) -> None:
        self.generate_order_accepted(*_names(order), _venue_id(order, venue_id), self._now())

    def rejected(self, order: Any, reason: str) -> None:
        self.generate_order_rejected(*_names(order), reason, self._now())

    def canceled(self, order: Any) -> None:
        self.generate_order_canceled(*_names(order), _venue_id(order), self._now())

    def updated(self, command: Any, venue_id: str | None = None) -> None:
        order = self._cache.order(command.client_order_id)
        self.generate_order_updated(
            *_names(order),
            _venue_id(order, venue_id),
            command.quantity or order.quantity,
            command.price or order.price,
            None,
            self._now(),
            venue_order_id_modified=venue_id is not None,
        )

    def filled(self, order: Any, size: str, trade_id: str | None = None) -> None:
        self.trades += 1
        trade_id = trade_id or f"T-{self.trades}"
        self.executions.append(trade_id)
        self.generate_order_filled(
            *_names(order),
            _venue_id(order),
            None,
            TradeId(trade_id),
            order.side,
            order.order_type,
            quantity(size),
            price(50_000),
            USDT,
            Money(0.5, USDT),
            LiquiditySide.TAKER,
            self._now(),
        )

    def _now(self) -> int:
        return self._clock.timestamp_ns()


def _names(order: Any) -> tuple[Any, Any, Any]:
    return order.strategy_id, order.instrument_id, order.client_order_id


def _venue_id(order: Any, venue_id: str | None = None) -> Any:
    known = order.venue_order_id if venue_id is None else None
    return known or VenueOrderId(venue_id or f"V-{order.client_order_id}")


def buy(strategy: ScriptedStrategy, _cause: Any) -> None:
    strategy.buy()


async def accept(venue: ScriptedVenue, command: Any) -> None:
    venue.submitted(command.order)
    venue.accepted(command.order)


async def fill(venue: ScriptedVenue, command: Any) -> None:
    await accept(venue, command)
    venue.filled(command.order, str(command.order.quantity))


async def fill_in_two(venue: ScriptedVenue, command: Any) -> None:
    await accept(venue, command)
    venue.filled(command.order, "0.004000")
    venue.filled(command.order, "0.006000")


class Feed(LiveMarketDataClient):
    """Quotes on demand."""

    def __init__(self, loop: Any, msgbus: Any, cache: Any, clock: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(VENUE),
            venue=Venue(VENUE),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=InstrumentProvider(),
        )

    async def _connect(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        pass

    async def _unsubscribe_quote_ticks(self, command: Any) -> None:
        pass

    def quote(self, bid: float = 50_000, lag_ns: int = 1_000_000) -> None:
        """One quote now, from a venue whose clock is behind ours by `lag_ns`."""
        now_ns = self._clock.timestamp_ns()
        one = quantity("1")
        self._handle_data(
            QuoteTick(INSTRUMENT.id, price(bid), price(bid + 1), one, one, now_ns - lag_ns, now_ns)
        )


class Session:
    """A running node, as a test works with it."""

    def __init__(self, node: Any, strategy: ScriptedStrategy, feed: Feed, venue: Any) -> None:
        self.node = node
        self.strategy = strategy
        self.feed = feed
        self.venue = venue

    async def heard(self, name: str, count: int = 1) -> Any:
        """Wait until the strategy has heard of `count` more such events; the last of them."""
        event = None
        async with asyncio.timeout(PATIENCE_S):
            while count:
                event = await self.strategy.events.get()
                count -= type(event).__name__ == name
        return event

    async def trade(self, *names: str) -> None:
        """One quote, then wait for these events one after the other."""
        self.feed.quote()
        for name in names:
            await self.heard(name)


Body = Callable[[Session], Awaitable[Any]]


class Bot:
    """Runs live nodes."""

    buy = staticmethod(buy)
    accept = staticmethod(accept)
    fill = staticmethod(fill)
    fill_in_two = staticmethod(fill_in_two)
    instrument = INSTRUMENT
    price = staticmethod(price)
    quantity = staticmethod(quantity)

    def __init__(self, told: Capture) -> None:
        self._told = told

    def run(
        self,
        acts: Mapping[Any, Act],
        body: Body,
        plays: Mapping[str, Play] | None = None,
        *,
        exec_client: tuple[Any, Any] | None = None,
        **config: Any,
    ) -> Any:
        """What `body(session)` returned; the node is stopped and disposed, due lifecycles are written."""
        result = asyncio.run(_traded(acts, body, plays or {"SubmitOrder": fill}, exec_client, config))
        trading.shutdown()
        return result

    def spans(self) -> list[RecordedSpan]:
        return self._told.spans()

    def named(self, name: str) -> list[RecordedSpan]:
        """Spans whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(name)]

    async def until_named(self, name: str) -> None:
        """Wait until there is a span whose name begins so."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.named(name):  # noqa: ASYNC110 - a span that ends wakes nobody
                await asyncio.sleep(0.005)


def _gentle(engine: Any, **known: Any) -> Any:
    """An engine's configuration with which an exception stops the node, where it would end the process."""
    name = "graceful_shutdown_on_exception"
    return engine(**known, **({name: True} if name in engine.__struct_fields__ else {}))


async def _traded(
    acts: Mapping[Any, Act],
    body: Body,
    plays: Mapping[str, Play],
    exec_client: tuple[Any, Any] | None,
    config: Mapping[str, Any],
) -> Any:
    made: dict[str, Any] = {}

    class Feeds(LiveDataClientFactory):
        @staticmethod
        def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
            made["feed"] = Feed(loop, msgbus, cache, clock)
            return made["feed"]

    class Venues(LiveExecClientFactory):
        @staticmethod
        def create(loop: Any, name: Any, config: Any, msgbus: Any, cache: Any, clock: Any) -> Any:
            made["venue"] = ScriptedVenue(loop, msgbus, cache, clock, plays)
            return made["venue"]

    client_config, client_factory = exec_client or (LiveExecClientConfig(), Venues)
    options: dict[str, Any] = {
        "environment": Environment.SANDBOX,
        "trader_id": TraderId("TESTER-001"),
        "logging": LoggingConfig(bypass_logging=True),
        "data_engine": _gentle(LiveDataEngineConfig),
        "risk_engine": _gentle(LiveRiskEngineConfig),
        "exec_engine": _gentle(LiveExecEngineConfig, reconciliation=False),
        "data_clients": {VENUE: LiveDataClientConfig()},
        "exec_clients": {VENUE: client_config},
        "timeout_connection": 5,
        "timeout_disconnection": 1,
        "timeout_portfolio": 1,
        "timeout_post_stop": 0.01,
        "timeout_shutdown": 1,
        **config,
    }
    strategy = ScriptedStrategy(acts)
    node: Any = TradingNode(config=TradingNodeConfig(**options), loop=asyncio.get_running_loop())
    node.kernel.cache.add_instrument(INSTRUMENT)
    node.trader.add_strategy(strategy)
    node.add_data_client_factory(VENUE, Feeds)
    node.add_exec_client_factory(VENUE, client_factory)
    node.build()
    running = asyncio.create_task(node.run_async())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await strategy.is_ready.wait()
        return await body(Session(node, strategy, made["feed"], made.get("venue")))
    finally:
        await node.stop_async()
        await running
        node.kernel.dispose()


@pytest.fixture(autouse=True)
def _signals_stay() -> Generator[None]:
    """A node takes the process's signals for itself."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def settings() -> dict[str, Any]:
    """Of the instrumentor; lifecycles are written when `trading.shutdown()` asks for them."""
    return {"lifecycle_delay_s": 3600, "waiting_s": 3600}


@pytest.fixture
def told(telemetry: Capture, settings: dict[str, Any]) -> Generator[Capture]:
    """NautilusTrader instrumented."""
    NautilusInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings=settings,
    )
    yield telemetry
    NautilusInstrumentor().uninstrument()


@pytest.fixture
def bot(told: Capture) -> Bot:
    """A bot whose orders are told."""
    return Bot(told)


class Trader(Strategy):  # pyright: ignore[reportUntypedBaseClass] - the same
    """Draws at every `every`-th quote: a market order, or a limit order that may rest; keeps its fills."""

    def __init__(self, every: int, breaks_at: str | None = None) -> None:
        super().__init__()
        self.every = every
        self.breaks_at = breaks_at
        self.quotes = 0
        self.draws = random.Random(3)  # a private generator: the global one is the user's
        self.book: list[tuple[Any, ...]] = []

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self._break("start")

    def on_quote_tick(self, tick: Any) -> None:
        self.quotes += 1
        if self.quotes % self.every:
            return
        self._break("quote")
        side = self.draws.choice((OrderSide.BUY, OrderSide.SELL))
        size = quantity(f"{self.draws.uniform(0.01, 0.1):.6f}")
        factory = self.order_factory
        if self.draws.random() < 0.5:
            self.submit_order(factory.market(INSTRUMENT.id, side, size))
        else:
            at = tick.bid_price if side == OrderSide.BUY else tick.ask_price
            self.submit_order(factory.limit(INSTRUMENT.id, side, size, at))

    def on_order_submitted(self, event: Any) -> None:
        self._break("submitted")

    def on_order_filled(self, event: Any) -> None:
        told = (event.client_order_id, event.last_qty, event.last_px, event.ts_event)
        self.book.append(tuple(str(value) for value in told))

    def on_stop(self) -> None:
        self.cancel_all_orders(INSTRUMENT.id)
        self.close_all_positions(INSTRUMENT.id)

    def _break(self, moment: str) -> None:
        if moment == self.breaks_at:
            raise RuntimeError("the strategy's own")


def quotes(count: int, seed: int = 7) -> list[Any]:
    """A random walk of quotes, ten a second in September 2020."""
    draws, mid, now_ns, one = random.Random(seed), 50_000.0, 1_600_000_000_000_000_000, quantity("1")
    made: list[Any] = []
    for _ in range(count):
        mid += draws.gauss(0, 5)
        now_ns += 100_000_000
        made.append(QuoteTick(INSTRUMENT.id, price(mid), price(mid + 1), one, one, now_ns, now_ns))
    return made


def backtest_engine(strategy: Any, data: list[Any]) -> Any:
    """An engine with one simulated venue."""
    silent = LoggingConfig(bypass_logging=True)
    engine: Any = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("TESTER-001"), logging=silent))
    balances = [Money(1_000_000, USDT), Money(100, BTC)]
    engine.add_venue(Venue(VENUE), OmsType.NETTING, AccountType.MARGIN, balances)
    engine.add_instrument(INSTRUMENT)
    engine.add_data(data)
    engine.add_strategy(strategy)
    return engine


class Lab:
    """Runs back-tests."""

    engine = staticmethod(backtest_engine)
    quotes = staticmethod(quotes)
    strategy = Trader
    instrument = INSTRUMENT

    def run(self, count: int = 200, every: int = 40, breaks_at: str | None = None) -> tuple[Any, ...]:
        """All fills, the draws' state at the end, and every order with its events' kinds."""
        strategy = Trader(every, breaks_at)
        engine = backtest_engine(strategy, quotes(count))
        try:
            engine.run()
            return tuple(strategy.book), strategy.draws.getstate(), self.orders(engine)
        finally:
            engine.dispose()

    @staticmethod
    def orders(engine: Any) -> tuple[tuple[str, ...], ...]:
        """Each order's id and what happened to it."""
        orders = engine.cache.orders()
        return tuple((str(o.client_order_id), *(type(event).__name__ for event in o.events)) for o in orders)


@pytest.fixture
def lab() -> Lab:
    """Back-tests, told if `told` is asked for too."""
    return Lab()
