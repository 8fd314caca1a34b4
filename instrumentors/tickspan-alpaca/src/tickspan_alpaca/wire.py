"""The way of a request: each attempt of the library's retry loop, and what its answer tells."""

from __future__ import annotations

import functools
import re
import time
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    OrderCall,
    OrderOperation,
    Point,
    Segment,
    clocks_of,
    limits_of,
    open_call,
    orders_of,
    quiet,
)

from tickspan_alpaca.describe import VENUE, environment_of, library_of
from tickspan_alpaca.streams import Streams, streams_of

DATA_BUDGET: Final = "market_data_requests"
"""Market data has a budget of its own, which its answers tell by the same headers."""
_DATA_PATHS: Final = ("/v2/stocks", "/v1beta")
_SYMBOL: Final = re.compile(r"/(?:stocks|crypto)/([A-Z][A-Z0-9.]*)(?:/|$)")
_MINUTE: Final = "1m"


class _Trip:
    """One request with its retries."""

    __slots__ = ("ended_ns", "is_doubtful", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        """Of the answer to the last attempt."""
        self.ended_ns: int | None = None
        """When the last attempt had failed, and the library began to wait."""
        self.is_doubtful = False
        """An earlier attempt got no answer of the venue's: it may have been taken."""

    @property
    def is_refused(self) -> bool:
        """Whether the venue itself has turned the last attempt down."""
        return self.status is not None and self.status < HTTPStatus.INTERNAL_SERVER_ERROR


_trip: Final[ContextVar[_Trip | None]] = ContextVar("tickspan_alpaca_trip", default=None)


def wire_of(bench: Workbench) -> Wire:
    """What all rows of one instrumentor know of requests."""
    known = _wires.get(bench)
    if known is None:
        known = _wires[bench] = Wire(bench)
        bench.on_undo(known.unhook)
    return known


class Wire:
    """Follows requests and listens to their answers; sessions are held weakly."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._streams: Streams = streams_of(bench)
        self._limits, self._clocks = limits_of(bench), clocks_of(bench)
        self._now_ns = orders_of(bench).clock.monotonic_ns
        self._hooks: weakref.WeakKeyDictionary[Any, tuple[Any, list[Any]]] = weakref.WeakKeyDictionary()
        """Session to what its hooks were, and what they are."""
        self._doubtful: weakref.WeakSet[BaseException] = weakref.WeakSet()

    def is_doubtful(self, error: BaseException) -> bool:
        """Whether an earlier attempt of the call that `error` came out of may have been taken."""
        return error in self._doubtful

    def begin(self, client: Any, method: Any, url: Any) -> None:
        """P6: a request is handed to the transport, for the first time or once more."""
        self._listen(client)
        call, trip = open_call(), _trip.get()
        if trip is not None:
            if trip.ended_ns is not None:
                self._tried_again(call, trip, trip.ended_ns)
            trip.status = trip.ended_ns = None
        if call is not None and (str(method).upper() != "GET" or call.operation is OrderOperation.QUERY):
            call.attempt(f"{method} {urlsplit(str(url)).path}")

    def failed(self) -> None:
        """An attempt has ended without success."""
        trip = _trip.get()
        if trip is not None:
            trip.ended_ns = self._now_ns()

    def ended(self, trip: _Trip, error: BaseException) -> None:
        """The whole request has failed."""
        if trip.is_doubtful:
            self._doubtful.add(error)

    def _tried_again(self, call: OrderCall | None, trip: _Trip, ended_ns: int) -> None:
        trip.is_doubtful = trip.is_doubtful or not trip.is_refused
        if call is not None:
            call.waited(Segment.THROTTLE_WAIT, (self._now_ns() - ended_ns) / 1e9)

    def unhook(self) -> None:
        """Sessions are what they were, unless somebody has changed their hooks since."""
        for session, (before, ours) in tuple(self._hooks.items()):
            if session.hooks.get("response") is ours:
                session.hooks["response"] = before
        self._hooks.clear()

    def _listen(self, client: Any) -> None:
        """Hear the answers of a client's session: its own code throws their headers away."""
        session = client._session  # noqa: SLF001 - it has no public name
        known = self._hooks.get(session)
        before = session.hooks.get("response")
        if known is not None and before is known[1]:
            return
        hooks = [before] if callable(before) else list(before or ())
        library, environment = library_of(client), environment_of(client)
        guard = self._bench.guard("response")

        def heard(response: Any, *args: Any, **kwargs: Any) -> None:
            del args, kwargs
            if self._bench.is_active:
                guard.own(self._answered, library, environment, response, default=None)

        ours = [*hooks, heard]
        session.hooks["response"] = ours
        self._hooks[session] = before, ours

    def _answered(self, library: str, environment: str | None, response: Any) -> None:
        """P7: an answer has come."""
        received_ns = self._now_ns()
        call, trip = open_call(), _trip.get()
        if call is not None:
            call.mark(Point.ANSWERED, received_ns)
        if trip is not None:
            trip.status = response.status_code
        headers = response.headers
        date = headers.get("Date")
        if date is not None:
            sent_ns = received_ns - int(response.elapsed.total_seconds() * 1e9)
            self._clocks.date(VENUE, date, sent_ns, received_ns, library=library, environment=environment)
        if urlsplit(response.url).path.startswith(_DATA_PATHS):
            self._data_budget(library, environment, response)
        else:
            self._limits.answered(VENUE, library, environment, response.status_code, headers)

    def _data_budget(self, library: str, environment: str | None, response: Any) -> None:
        limit, left = (
            _number(response.headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining")
        )
        if limit is not None and left is not None:
            reset = _number(response.headers.get("X-RateLimit-Reset"))
            self._limits.used(
                VENUE,
                DATA_BUDGET,
                _MINUTE,
                used=limit - left,
                limit=limit,
                reset_in_s=max(0.0, reset - time.time()) if reset is not None else None,
                library=library,
                environment=environment,
            )
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._limits.refused(VENUE, DATA_BUDGET, library=library, environment=environment)

    def polled(self, url: Any, opts: Any) -> None:
        """Market data was read by a request: the cause of what follows, if there is no better one."""
        parts = urlsplit(str(url))
        if not parts.path.startswith(_DATA_PATHS):
            return
        params = opts.get("params") if isinstance(opts, Mapping) else None
        symbols = params.get("symbols") if isinstance(params, Mapping) else None
        found = _SYMBOL.search(parts.path)
        named = symbols if isinstance(symbols, str) else found[1] if found is not None else None
        self._streams.polled(named if named is not None and "," not in named else None)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def one_request(original: Any, bench: Workbench) -> Any:
    """P6 and the answer of each attempt: `_one_request(method, url, opts, retry)` is below the retry loop."""
    wire, guard = wire_of(bench), bench.guard("_one_request")

    @functools.wraps(original)
    def attempt(client: Any, method: Any, url: Any, opts: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(client, method, url, opts, *args, **kwargs)
        guard.own(wire.begin, client, method, url, default=None)
        try:
            with quiet():
                result = original(client, method, url, opts, *args, **kwargs)
        except BaseException:
            guard.own(wire.failed, default=None)
            raise
        guard.own(wire.polled, url, opts, default=None)
        return result

    return attempt


def whole_request(original: Any, bench: Workbench) -> Any:
    """`_request`: the loop that tries again, and sleeps in between."""
    wire, guard = wire_of(bench), bench.guard("_request")

    @functools.wraps(original)
    def request(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        trip = _Trip()
        token = _trip.set(trip)
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            guard.own(wire.ended, trip, error, default=None)
            raise
        finally:
            _trip.reset(token)

    return request


_wires: Final[weakref.WeakKeyDictionary[Workbench, Wire]] = weakref.WeakKeyDictionary()
