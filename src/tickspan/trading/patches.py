"""The kinds of rows that a venue client's table is made of, beside the general ones.

Each takes pure functions: a call becomes an `OrderRequest`, a message an `OrderUpdate`.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, cast

from tickspan.config import TradingSettings
from tickspan.instrumentation import Guard, Workbench, add_cause, is_suppressed
from tickspan.instrumentation.patch import MissingTargetError, replace_target
from tickspan.instrumentation.wrapping import Begin, Finish, wrapped
from tickspan.trading.calls import OrderCall, open_call
from tickspan.trading.clocks import VenueClocks
from tickspan.trading.detachment import awaited_in, detached_context, stepped_in
from tickspan.trading.feed import Feed
from tickspan.trading.feeds import Feeds
from tickspan.trading.limits import RateLimits
from tickspan.trading.messages import Message, close, message_slot, open_message, opened
from tickspan.trading.model import OrderRequest, OrderUpdate, Reject
from tickspan.trading.registry import Orders
from tickspan.trading.stamping import Stamp, stamped
from tickspan.trading.ticks import RecentTicks

Make = Callable[[Any, type, Workbench], Any]
"""`(original, owner class, bench)` to what takes the original's place: a plain function."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an exception out of an order call means."""

    error_type: str
    reject: Reject | None = None
    """None: nobody knows whether the venue has the order."""


_orders: Final[weakref.WeakKeyDictionary[Workbench, Orders]] = weakref.WeakKeyDictionary()


def orders_of(bench: Workbench) -> Orders:
    """The registry that all rows of one instrumentor share; closed when the instrumentor is switched off."""
    known = _orders.get(bench)
    if known is None:
        settings = TradingSettings.of(bench.settings)
        known = _orders[bench] = Orders(
            bench.tracer, bench.meter, settings, logger=bench.logger, name=bench.name
        )
        known.use_clock_ahead(clocks_of(bench).ahead_ns)
        bench.on_undo(known.close)
        bench.on_undo(add_cause(known.cause_context))
    return known


_clocks: Final[weakref.WeakKeyDictionary[Workbench, VenueClocks]] = weakref.WeakKeyDictionary()
_feeds: Final[weakref.WeakKeyDictionary[Workbench, Feeds]] = weakref.WeakKeyDictionary()
_limits: Final[weakref.WeakKeyDictionary[Workbench, RateLimits]] = weakref.WeakKeyDictionary()


def clocks_of(bench: Workbench) -> VenueClocks:
    """What the rows of one instrumentor know of venues' clocks."""
    known = _clocks.get(bench)
    if known is None:
        settings = TradingSettings.of(bench.settings)
        known = _clocks[bench] = VenueClocks(bench.meter, bench.logger, settings)
    return known


def feeds_of(bench: Workbench) -> Feeds:
    """The streams of one instrumentor; no longer watched when the instrumentor is switched off."""
    known = _feeds.get(bench)
    if known is None:
        settings, clocks = TradingSettings.of(bench.settings), clocks_of(bench)
        known = _feeds[bench] = Feeds(bench.tracer, bench.meter, bench.logger, settings, clocks=clocks)
        bench.on_undo(known.close)
    return known


def limits_of(bench: Workbench) -> RateLimits:
    """What the rows of one instrumentor know of venues' request budgets."""
    known = _limits.get(bench)
    if known is None:
        settings = TradingSettings.of(bench.settings)
        known = _limits[bench] = RateLimits(bench.meter, bench.logger, settings)
    return known


@dataclass(frozen=True, slots=True)
class OrderMethod:
    """An order operation of a venue client: how its calls, results and exceptions read. All pure."""

    describe: Callable[[Any, tuple[Any, ...], Mapping[str, Any]], OrderRequest | None]
    """`(client, args, kwargs)`; None: this call is not to be told."""
    read: Callable[[Any, Any], Sequence[OrderUpdate]]
    """`(client, result)` to the answers in it."""
    judge: Callable[[Any, BaseException, OrderCall], Verdict]
    recent: Callable[[Any], RecentTicks | None] = lambda _: None
    """The client's memory of ticks."""
    stamp: Stamp | None = None
    """Gives orders client ids, if the settings ask for that; None: none leaves without one."""

    def around(self, original: Any, bench: Workbench, name: str) -> Any:
        """`original` with the order call told around it, whatever kind of function it is."""
        orders, guard = orders_of(bench), bench.guard(name)

        def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Told | None:
            client, rest = args[0], args[1:]
            request = self.describe(client, rest, kwargs)
            if request is None or _is_inside_itself(request):
                return None
            told = _Told(orders.begin(request, recent=self.recent(client)), self, client, guard)
            told.resume()
            return told

        def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Told | None:
            if not bench.is_active or is_suppressed():
                return None
            return guard.own(decide, args, kwargs, default=None)

        told = wrapped(original, cast("Begin", begin), cast("Finish", _Told.succeed))
        if self.stamp is None or not orders.settings.stamp_client_id:
            return told
        return stamped(told, self.stamp, bench, name)


class _Told:
    """An order call as `tickspan.instrumentation.wrapping` drives it."""

    __slots__ = ("_call", "_client", "_guard", "_method")

    def __init__(self, call: OrderCall, method: OrderMethod, client: Any, guard: Guard) -> None:
        self._call = call
        self._method = method
        self._client = client
        self._guard = guard

    def resume(self) -> None:
        self._guard.own(self._call.resume, default=None)

    def release(self) -> None:
        self._guard.own(self._call.release, default=None)

    def succeed(self, result: Any) -> None:
        updates = self._guard.own(self._method.read, self._client, result, default=())
        self._guard.own(self._call.acknowledge, updates, default=None)

    def fail(self, error: BaseException) -> None:
        self._guard.own(self._fail, error, default=None)

    def _fail(self, error: BaseException) -> None:
        verdict = self._method.judge(self._client, error, self._call)
        self._call.fail(verdict.error_type, verdict.reject)


def _is_inside_itself(request: OrderRequest) -> bool:
    """Whether the same operation is under way around it: `super()`, an alias, a convenience method."""
    call = open_call()
    return call is not None and call.operation is request.operation and not call.request.emulated


@dataclass(frozen=True, slots=True)
class OrderCallPatch:
    """A span per order operation, and an entry per order, around one function."""

    module: str
    target: str
    method: OrderMethod
    optional: bool = False

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        replace_target(self, module, bench, lambda original: self.method.around(original, bench, self.target))


ReadReport = Callable[[Any, Any], OrderUpdate | None]
"""`(client, what the library made of the message)` to the report in it, if it is one."""


def reporting(original: Any, read: ReadReport, bench: Workbench, name: str) -> Any:
    """`original`, a plain or coroutine function, whose result is read as a report of an order; no span."""
    orders, guard = orders_of(bench), bench.guard(name)

    def told(client: Any, result: Any) -> Any:
        if bench.is_active and not guard.is_disabled and open_call() is None:
            try:
                update = read(client, result)
                if update is not None:
                    _reported(orders, update)
            except Exception as error:  # noqa: BLE001 - as the guard's `own`, on a path that public trades take too
                guard.caught(error)
        return result

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return told(args[0], original(*args, **kwargs))

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return told(args[0], await original(*args, **kwargs))

    return call_async if inspect.iscoroutinefunction(original) else call


def _reported(orders: Orders, update: OrderUpdate) -> None:
    message = open_message()
    if message is None:
        orders.observe(update)
    else:
        message.report(update)


@dataclass(frozen=True, slots=True)
class ReportPatch:
    """Reads what a function returns as a report; the function gets no span."""

    module: str
    target: str
    read: ReadReport
    optional: bool = False

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        replace_target(
            self, module, bench, lambda original: reporting(original, self.read, bench, self.target)
        )


FeedOf = Callable[[Workbench, Any, tuple[Any, ...]], Feed | None]
"""`(bench, client, args)` of a message handler to the stream that the message came by, if it is known."""


@dataclass(frozen=True, slots=True)
class MessagePatch:
    """A message handler: its entry is the receipt, its reports are told when it returns.

    Plain or coroutine function, on any thread. With `feed`, the stream counts the message and hears of an
    exception out of the handler.
    """

    module: str
    target: str
    optional: bool = False
    feed: FeedOf | None = None

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        replace_target(self, module, bench, lambda original: self._around(original, bench))

    def _around(self, original: Any, bench: Workbench) -> Any:
        handling = _handling_async if inspect.iscoroutinefunction(original) else _handling
        return handling(original, bench, self.target, self.feed)


# Twice the same, plain and as a coroutine: what they shared would cost a call more per message.
def _handling(original: Any, bench: Workbench, name: str, feed_of: FeedOf | None) -> Any:
    orders, guard = orders_of(bench), bench.guard(name)
    now_ns = orders.clock.monotonic_ns

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        message, slot = Message(now_ns()), message_slot()
        if feed_of is not None:
            guard.own(_heard, message, feed_of, bench, args, default=None)
        before, slot.message = slot.message, message
        try:
            return original(*args, **kwargs)
        except Exception as error:
            if message.feed is not None:
                guard.own(message.feed.handler_failed, error, default=None)
            raise
        finally:
            slot.message = before
            if message.reports is not None:
                guard.own(tell_reports, orders, message, default=None)

    return call


def _handling_async(original: Any, bench: Workbench, name: str, feed_of: FeedOf | None) -> Any:
    orders, guard = orders_of(bench), bench.guard(name)
    now_ns = orders.clock.monotonic_ns

    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return await original(*args, **kwargs)
        message = Message(now_ns())
        if feed_of is not None:
            guard.own(_heard, message, feed_of, bench, args, default=None)
        handler = opened(message)
        try:
            return await original(*args, **kwargs)
        except Exception as error:
            if message.feed is not None:
                guard.own(message.feed.handler_failed, error, default=None)
            raise
        finally:
            close(handler)
            if message.reports is not None:
                guard.own(tell_reports, orders, message, default=None)

    return call


def _heard(message: Message, feed_of: FeedOf, bench: Workbench, args: tuple[Any, ...]) -> None:
    feed = message.feed = feed_of(bench, args[0], args[1:])
    if feed is not None:
        feed.received(message.received_ns)


def tell_reports(orders: Orders, message: Message) -> None:
    """What a message has reported, once its handler is through; its ticks name the orders."""
    if message.reports is None:
        return
    named = tuple(
        key
        for update in message.reports.values()
        for key in orders.observe(update.received_at(message.received_ns, message.source))
    )
    for tick in message.ticks.values():
        tick.reports = named


@dataclass(frozen=True, slots=True)
class ReadLoopPatch:
    """A function that starts a loop: what it starts belongs to no span, tick or order of its caller."""

    module: str
    target: str
    optional: bool = False

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        replace_target(self, module, bench, lambda original: detaching(original, bench))


def detaching(original: Any, bench: Workbench) -> Any:
    """`original` run in a detached copy of the caller's context; a coroutine function stays one.

    What a plain function starts (tasks, callbacks, transports) inherits that copy; of a coroutine function
    each step runs in it.

    Raises:
        TypeError: `original` is a generator function of either kind: its steps belong to its consumer.
    """
    if inspect.isgeneratorfunction(original) or inspect.isasyncgenfunction(original):
        raise TypeError(f"expected a function or coroutine function to detach, got {original!r}")

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        context = detached_context()
        result = context.run(original, *args, **kwargs)
        # A plain function may make a coroutine: `def run(self): return self._run()`.
        return awaited_in(context, result) if issubclass(type(result), Coroutine) else result

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return await original(*args, **kwargs)
        return await stepped_in(detached_context(), original(*args, **kwargs))

    return call_async if inspect.iscoroutinefunction(original) else call


@dataclass(frozen=True, slots=True)
class PerClass:
    """Methods of every class below the first of `bases` that the module has, also of classes yet to come.

    A class is wrapped when its first instance is about to be made: each class of its MRO, its own
    `__dict__` only, once. `alias` is the second name that the library itself binds on the class of an
    instance; such names are bound to ours and back with the methods.
    """

    module: str
    bases: tuple[str, ...]
    methods: Mapping[str, Make]
    alias: Callable[[str], str] | None = None

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Watch the base's `__init__`; wrap at once the classes that have instances already."""
        base = self._base(module)
        state = _Classes(base, bench, self.methods, self.alias)
        bench.on_undo(state.restore_aliases)
        guard = bench.guard(f"{base.__name__}.__init__")
        state.adopt_built()

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def init(instance: Any, *args: Any, **kwargs: Any) -> Any:
                if bench.is_active:
                    guard.own(state.adopt, type(instance), default=None)
                return original(instance, *args, **kwargs)

            return init

        bench.replace(base, "__init__", make)

    def _base(self, module: ModuleType) -> type:
        found = next((getattr(module, name) for name in self.bases if hasattr(module, name)), None)
        if found is None:
            raise MissingTargetError(f"{self.module} has none of {', '.join(self.bases)}")
        return found


@dataclass(slots=True)
class _Classes:
    """Which classes are wrapped, and which wrapper stands for which original."""

    base: type
    bench: Workbench
    methods: Mapping[str, Make]
    alias: Callable[[str], str] | None
    done: weakref.WeakSet[type] = field(default_factory=weakref.WeakSet[type])
    ours: dict[Any, Any] = field(default_factory=dict[Any, Any])
    """Original to wrapper."""

    def adopt(self, cls: type) -> None:
        """Wrap `cls` and what it inherits from."""
        if cls in self.done:
            return
        for owner in reversed(cls.__mro__[:-1]):
            if owner not in self.done:
                self.done.add(owner)
                self._wrap(owner)
        self._rebind(cls, self.ours)

    def adopt_built(self) -> None:
        """Wrap the classes that have been instantiated before: they carry aliases."""
        if self.alias is None:
            return
        names = {self.alias(name) for name in self.methods} - set(self.methods)
        for cls in _below(self.base):
            if names & vars(cls).keys():
                self.adopt(cls)

    def restore_aliases(self) -> None:
        """Bind aliases to the originals again."""
        originals = {wrapper: original for original, wrapper in self.ours.items()}
        for cls in _below(self.base):
            self._rebind(cls, originals)

    def _wrap(self, owner: type) -> None:
        for name, make in self.methods.items():
            if name in vars(owner):
                self.bench.replace(owner, name, functools.partial(self._made, make, owner))

    def _made(self, make: Make, owner: type, original: Any) -> Any:
        wrapper = self.ours[original] = make(original, owner, self.bench)
        return wrapper

    def _rebind(self, cls: type, instead: Mapping[Any, Any]) -> None:
        if self.alias is None:
            return
        for name in self.methods:
            alias = self.alias(name)
            bound = vars(cls).get(alias) if alias != name else None
            if bound is not None and bound in instead:
                setattr(cls, alias, instead[bound])


def _below(base: type) -> Iterator[type]:
    """`base` and every class that inherits from it."""
    pending, seen = [base], set[type]()
    while pending:
        cls = pending.pop()
        if cls not in seen:
            seen.add(cls)
            yield cls
            pending += cls.__subclasses__()
