"""The kinds of rows that a venue client's table is made of, beside the general ones.

Each takes pure functions: a call becomes an `OrderRequest`, a message an `OrderUpdate`.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, cast

from tickspan.config import TradingSettings
from tickspan.instrumentation import Guard, Workbench, add_cause, is_suppressed
from tickspan.instrumentation.patch import MissingTargetError, replace_target
from tickspan.instrumentation.wrapping import Begin, Finish, wrapped
from tickspan.trading.calls import OrderCall, open_call
from tickspan.trading.detachment import detached_context
from tickspan.trading.messages import Message, close, open_message, opened
from tickspan.trading.model import OrderRequest, OrderUpdate, Reject
from tickspan.trading.registry import Orders
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
        known = _orders[bench] = Orders(bench.tracer, bench.meter, settings, name=bench.name)
        bench.on_undo(known.close)
        bench.on_undo(add_cause(known.cause_context))
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

        return wrapped(original, cast("Begin", begin), cast("Finish", _Told.succeed))


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
    """`original` whose result is read as a report of an order; no span of its own."""
    orders, guard = orders_of(bench), bench.guard(name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if bench.is_active and open_call() is None:
            guard.own(_reported, orders, read, args[0], result, default=None)
        return result

    return call


def _reported(orders: Orders, read: ReadReport, client: Any, result: Any) -> None:
    update = read(client, result)
    if update is None:
        return
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


@dataclass(frozen=True, slots=True)
class MessagePatch:
    """A synchronous message handler: its entry is the receipt, its reports are told when it returns."""

    module: str
    target: str
    optional: bool = False

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        replace_target(self, module, bench, lambda original: self._around(original, bench))

    def _around(self, original: Any, bench: Workbench) -> Any:
        orders, guard = orders_of(bench), bench.guard(self.target)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not bench.is_active:
                return original(*args, **kwargs)
            message = Message(orders.clock.monotonic_ns())
            token = opened(message)
            try:
                return original(*args, **kwargs)
            finally:
                close(message, token)
                if message.reports:
                    guard.own(_tell_reports, orders, message, default=None)

        return call


def _tell_reports(orders: Orders, message: Message) -> None:
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
    """`original`, a plain function, run in a detached copy of the caller's context."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        return detached_context().run(original, *args, **kwargs)

    return call


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
