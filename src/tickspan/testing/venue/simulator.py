"""A simulated venue in a thread of its own: start it, point clients at it, arm faults, ask for the truth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

from aiohttp import web

from tickspan.testing.venue.behaviour import Behaviour, Fault
from tickspan.testing.venue.binance import BinanceService, Credentials
from tickspan.testing.venue.connect import Connect
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.orders import Execution, VenueOrder
from tickspan.testing.venue.truth import Request, Truth, Unimplemented, Witness

API_KEY = "simulated-venue-key"
SECRET = "simulated-venue-secret"  # noqa: S105 (no venue but this one knows it)
_DEADLINE_S = 10.0
_PATIENCE_S = 0.2  # for answers under way when the venue stops

_Result = TypeVar("_Result")


class VenueSimulator:
    """A venue on loopback, with its own event loop in its own thread; clients may be synchronous.

    Use it as a context manager. `port=0` takes a free port; a busy one raises OSError. All methods are
    thread-safe.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        behaviour: Behaviour | None = None,
        port: int = 0,
        api_key: str = API_KEY,
        secret: str = SECRET,
    ) -> None:
        self.seed = seed
        self.behaviour = behaviour or Behaviour()
        self._credentials = Credentials(api_key, secret)
        self._wanted_port = port
        self._witness = Witness()
        self._exchange = Exchange(self.behaviour, seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._port: Future[int] = Future()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="simulated-venue", daemon=True)
        self._thread.start()
        self._port.result(_DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stopping is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_DEADLINE_S)

    def __repr__(self) -> str:
        where = self.url if self._port.done() and not self._port.exception() else "not started"
        held = f"{len(self.orders)} orders, {len(self.executions)} executions"
        return f"<VenueSimulator {where}, seed {self.seed}, {held}>"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._port.result(0)}"

    @property
    def connect(self) -> Connect:
        """Points clients here."""
        return Connect(self.url, self._credentials.api_key, self._credentials.secret)

    @property
    def orders(self) -> tuple[VenueOrder, ...]:
        """Every order the venue accepted, whatever its client was told; oldest first."""
        return self._exchange.desk.orders

    @property
    def executions(self) -> tuple[Execution, ...]:
        """Every fill the venue booked, oldest first."""
        return self._exchange.desk.executions

    @property
    def requests(self) -> tuple[Request, ...]:
        """Everything clients sent, oldest first."""
        return self.truth().requests

    @property
    def unimplemented(self) -> tuple[Unimplemented, ...]:
        """What clients asked for that this venue does not have."""
        return self.truth().unimplemented

    def truth(self) -> Truth:
        """All of the above at one moment."""
        return self._witness.truth(self.orders, self.executions)

    def next(self, fault: Fault | str) -> None:
        """Let `fault` strike once, at the next moment of its kind. Raises ValueError for an unknown one."""
        self._exchange.script.arm(Fault(fault))

    def tick(self, symbol: str | None = None) -> None:
        """Let the market `symbol` (`BTCUSDT`), or each, take one step now, besides its own pace."""
        self._call(lambda: self._exchange.tick(symbol))

    def _call(self, action: Callable[[], _Result]) -> _Result:
        """Run `action` on the venue's loop and return what it returns."""
        assert self._loop is not None, "the venue is not running: use it as a context manager"
        done: Future[_Result] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except Exception as error:  # noqa: BLE001 (it is raised in the caller's thread)
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_DEADLINE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            # A thread's top: whoever started the venue is told, or has long been served.
            if self._port.done():
                raise
            self._port.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        service = BinanceService(self._exchange, self._credentials, self._witness)
        control = _Control(self, service)
        runner = web.ServerRunner(web.Server(control.answer, access_log=None), shutdown_timeout=_PATIENCE_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self._wanted_port)
            await site.start()
            self._exchange.start()
            self._port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
        finally:
            self._exchange.stop()
            service.disconnect()
            await runner.cleanup()


class _Control:
    """Routes `/_venue/*`, by which another process asks for the truth and arms faults."""

    def __init__(self, venue: VenueSimulator, service: BinanceService) -> None:
        self._venue = venue
        self._service = service

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.startswith("/_venue/"):
            return await self._service.answer(request)
        if request.path == "/_venue/truth":
            # In a thread: a long history must not hold up the orders of others.
            text = await asyncio.to_thread(lambda: self._venue.truth().to_json())
            return web.Response(text=text, content_type="application/json")
        if request.path == "/_venue/fault" and request.method == "POST":
            return self._arm(request.query.get("name", ""))
        message = "expected GET /_venue/truth or POST /_venue/fault?name=<fault>"
        return web.json_response({"error": message}, status=404)

    def _arm(self, name: str) -> web.Response:
        try:
            self._venue.next(name)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"armed": name})
