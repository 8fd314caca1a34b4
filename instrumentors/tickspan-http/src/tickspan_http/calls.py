"""One request to a venue under way: the order call that it is, if it is one, and what its answer tells."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, Final

from tickspan.instrumentation import Guard, Workbench, is_http_suppressed, is_suppressed
from tickspan.trading import (
    OrderCall,
    Orders,
    Point,
    RateLimits,
    TradingSettings,
    VenueClocks,
    VenueProfile,
    clocks_of,
    limits_of,
    open_call,
    orders_of,
    quiet,
)

from tickspan_http import describe, read
from tickspan_http.outgoing import Outgoing
from tickspan_http.places import Places

_current: Final[ContextVar[VenueRequest | None]] = ContextVar("tickspan_http_request", default=None)


def current_request() -> VenueRequest | None:
    """The request to a venue that this context is sending."""
    return _current.get()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, as far as it is there: `body` is None where the caller has not read it (yet)."""

    status: int
    headers: Mapping[str, str]
    body: Any = None


class Venues:
    """Begins requests for all rows of one instrumentor."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._limits: RateLimits = limits_of(bench)
        self._clocks: VenueClocks = clocks_of(bench)
        self._places = Places(TradingSettings.of(bench.settings).hosts)
        self.guard: Guard = bench.guard("request")

    def begin(self, request: Outgoing) -> VenueRequest | None:
        """The request, if it goes to a venue and nobody nearer to the order tells of it."""
        if not self._bench.is_active or is_suppressed() or is_http_suppressed():
            return None
        place = self._places.find(request.host, request.port)
        if place is None:
            return None
        profile, environment = place
        route = profile.order_route(request.method, request.path, request.body)
        around = open_call()
        if route is None:
            return VenueRequest(self, profile, environment, request)
        asked = describe.order_request(profile, environment, route.operation, request)
        if around is not None and around.operation is route.operation:
            around.enrich(client_id=asked.client_id)
            return VenueRequest(self, profile, environment, request, around=around)
        return VenueRequest(self, profile, environment, request, own=self._orders().begin(asked))

    def answered(self, request: VenueRequest, response: Response, sent_ns: int, received_ns: int) -> None:
        """What the answer's head tells of limits and clocks."""
        name, environment, library = request.profile.name, request.environment, request.outgoing.library
        self._limits.answered(name, library, environment, response.status, response.headers)
        date = response.headers.get("Date")
        if date is not None:
            self._clocks.date(name, date, sent_ns, received_ns, library=library, environment=environment)

    def _orders(self) -> Orders:
        """Not before the first order: a registry also answers whose tick it is that other work belongs to."""
        return orders_of(self._bench)

    def now_ns(self) -> int:
        """The monotonic clock."""
        return self._limits.clock.monotonic_ns()


class VenueRequest:
    """As `tickspan.instrumentation.wrapping` drives it. One caller owns it."""

    __slots__ = (
        "_call",
        "_own",
        "_quiet",
        "_sent_ns",
        "_token",
        "_venues",
        "environment",
        "outgoing",
        "profile",
    )

    def __init__(
        self,
        venues: Venues,
        profile: VenueProfile,
        environment: str | None,
        outgoing: Outgoing,
        *,
        own: OrderCall | None = None,
        around: OrderCall | None = None,
    ) -> None:
        self._venues = venues
        self._own = own
        self._call = own if own is not None else around
        """Ours, or the one that somebody else has begun and ends."""
        self._sent_ns = venues.now_ns()
        self._token: Token[VenueRequest | None] | None = None
        self._quiet: AbstractContextManager[None] | None = None
        self.profile = profile
        self.environment = environment
        self.outgoing = outgoing

    def __repr__(self) -> str:
        return f"<VenueRequest {self.outgoing.method} {self.profile.name}, {self._call!r}>"

    @property
    def is_order(self) -> bool:
        """Whether it is an order call of our own that is still open."""
        return self._own is not None and self._own.is_open

    def resume(self) -> None:
        """Send in this context: the call is current, and nothing of ours goes along."""
        self._venues.guard.own(self._resume, default=None)

    def release(self) -> None:
        """This context goes on to other things; the request is still under way."""
        self._venues.guard.own(self._release, default=None)

    def attempt(self) -> None:
        """The request is handed to the transport (P6), perhaps once more."""
        self._sent_ns = self._venues.now_ns()
        if self._call is not None:
            self._call.attempt(f"{self.outgoing.method} {self.outgoing.path}")

    def received(self, response: Response) -> None:
        """The head of an answer is here (P7)."""
        received_ns = self._venues.now_ns()
        if self._call is not None:
            self._call.mark(Point.ANSWERED, received_ns)
        self._venues.answered(self, response, self._sent_ns, received_ns)

    def finish(self, response: Response) -> None:
        """The caller has its answer."""
        self._venues.guard.own(self._finish, response, default=None)

    def fail(self, error: BaseException) -> None:
        """The library has raised: the order was not sent, or its fate is unknown."""
        self._venues.guard.own(self._fail, error, default=None)

    def _resume(self) -> None:
        if self._token is not None:
            return
        if self._own is not None:
            self._own.resume()
        self._token = _current.set(self)
        self._quiet = quiet()
        self._quiet.__enter__()

    def _release(self) -> None:
        token, self._token = self._token, None
        silence, self._quiet = self._quiet, None
        if token is None or silence is None:
            return
        silence.__exit__(None, None, None)
        try:
            _current.reset(token)
        except ValueError:
            return  # closed from another context, where nothing of ours is current
        finally:
            if self._own is not None:
                self._own.release()

    def _finish(self, response: Response) -> None:
        self._release()
        call = self._own
        if call is None:
            return
        verdict = read.verdict(self.profile, response.status, response.body)
        if verdict is not None:
            call.fail(verdict.error_type, verdict.reject)
        else:
            call.acknowledge(read.updates(self.profile, call.request, response.body))

    def _fail(self, error: BaseException) -> None:
        self._release()
        if self._own is not None:
            self._own.fail_with(error)
