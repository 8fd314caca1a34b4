"""A simulated venue in a thread of its own: start it, point clients at it, arm faults, ask for the truth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

from aiohttp import web

from tickspan.testing.venue import dialects
from tickspan.testing.venue.behaviour import Behaviour, Fault
from tickspan.testing.venue.connect import Connect
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.orders import Execution, VenueOrder
from tickspan.testing.venue.truth import Request, Truth, Unimplemented, Witness

API_KEY = "simulated-venue-key"
SECRET = "simulated-venue-secret"  # noqa: S105 (no venue but this one knows it)
_DEADLINE_S = 10.0
_PATIENCE_S = 0.2  # for answers under way when the venue stops

_HOST = "127.0.0.1"

_Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_Result = TypeVar("_Result")


class VenueSimulator:
    """A venue on loopback, with its own event loop in its own thread; clients may be synchronous.

    Use it as a context manager. `port=0` takes a free port; a busy one raises OSError, an unknown dialect
    ValueError. All methods are thread-safe.
    """

    def __init__(
        self,
        *,
        dialect: str = "binance",
        seed: int = 0,
        behaviour: Behaviour | None = None,
        port: int = 0,
        api_key: str = API_KEY,
        secret: str = SECRET,
    ) -> None:
        self.dialect = dialects.known(dialect)
        self.seed = seed
        self.behaviour = behaviour or Behaviour()
        self._credentials = Credentials(api_key, secret)
        self._wanted_port = port
        self._witness = Witness()
        self._exchange = Exchange(self.behaviour, seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ports: Future[_Ports] = Future()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="simulated-venue", daemon=True)
        self._thread.start()
        self._ports.result(_DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stopping is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_DEADLINE_S)

    def __repr__(self) -> str:
        is_up = self._ports.done() and not self._ports.exception()
        where = f"{self.dialect} at {self.address[0]}:{self.address[1]}" if is_up else "not started"
        held = f"{len(self.orders)} orders, {len(self.executions)} executions"
        return f"<VenueSimulator {where}, seed {self.seed}, {held}>"

    @property
    def url(self) -> str:
        """The venue by HTTP; of a dialect without HTTP, its `/_venue/` control only."""
        return f"http://{_HOST}:{self._ports.result(0).web}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that clients connect to."""
        return _HOST, self._ports.result(0).clients

    @property
    def connect(self) -> Connect:
        """Points clients here."""
        return Connect(self.url, self._credentials.api_key, self._credentials.secret, self.address)

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

    def answer_after(self, ack_delay_s: float) -> None:
        """From now on acknowledge orders so many seconds after their arrival."""
        self._exchange.script.ack_delay_s = ack_delay_s

    def tick(self, symbol: str | None = None) -> None:
        """Let the market `symbol` (`BTCUSDT`), or each, take one step now, besides its own pace."""
        self._call(lambda: self._exchange.tick(symbol))

    def fill(self, client_id: str) -> None:
        """Let the market come to the order that rests under `client_id`: it fills as its script says.

        Raises LookupError when no such order rests.
        """
        self._call(lambda: self._exchange.fill(client_id))

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
            if self._ports.done():
                raise
            self._ports.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            if self.dialect in dialects.WEB:
                await self._serve_web()
            else:
                await self._serve_sockets()
        finally:
            self._exchange.stop()

    async def _serve_web(self) -> None:
        service = dialects.WEB[self.dialect](self._exchange, self._credentials, self._witness)
        async with self._web(_Control(self, service.answer), self._wanted_port) as port:
            await self._until_stopped(_Ports(port, port))
            service.disconnect()

    async def _serve_sockets(self) -> None:
        service = dialects.SOCKET[self.dialect](self._exchange, self._credentials, self._witness)
        server = await asyncio.start_server(service.serve, _HOST, self._wanted_port)
        async with self._web(_Control(self, None), 0) as control_port:
            clients_port: int = server.sockets[0].getsockname()[1]
            await self._until_stopped(_Ports(control_port, clients_port))
            server.close()
            service.disconnect()
            await server.wait_closed()

    async def _until_stopped(self, ports: _Ports) -> None:
        assert self._stopping is not None
        self._exchange.start()
        self._ports.set_result(ports)
        await self._stopping.wait()

    @asynccontextmanager
    async def _web(self, control: _Control, wanted_port: int) -> AsyncGenerator[int]:
        """A web server that answers by `control`; its port."""
        runner = web.ServerRunner(web.Server(control.answer, access_log=None), shutdown_timeout=_PATIENCE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, wanted_port).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where the venue listens for HTTP (of a dialect without, for its control), and for clients."""

    web: int
    clients: int


class _Control:
    """Routes `/_venue/*`, by which another process asks for the truth and arms faults."""

    def __init__(self, venue: VenueSimulator, answer: _Answer | None) -> None:
        self._venue = venue
        self._answer = answer

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.startswith("/_venue/"):
            return await self._answer(request) if self._answer is not None else _no_such_route()
        if request.path == "/_venue/truth":
            # In a thread: a long history must not hold up the orders of others.
            text = await asyncio.to_thread(lambda: self._venue.truth().to_json())
            return web.Response(text=text, content_type="application/json")
        if request.path == "/_venue/fault" and request.method == "POST":
            return self._arm(request.query.get("name", ""))
        return _no_such_route()

    def _arm(self, name: str) -> web.Response:
        try:
            self._venue.next(name)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"armed": name})


def _no_such_route() -> web.Response:
    message = "expected GET /_venue/truth or POST /_venue/fault?name=<fault>"
    return web.json_response({"error": message}, status=404)
