"""Desk: receivers, store, page and registration put together, and taken down in order."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from tickspan_spool.liaison import AgentPlaces
from tickspan_spool.liaison.launch import ensure
from tickspan_spool.receiver import Batch, Limits, Receiver

from tickspan_desk.actions import actions_of
from tickspan_desk.forwarding import Forwarder, ForwardStatistics, leads_to
from tickspan_desk.intake import Intake
from tickspan_desk.listening import PortTakenError, loopback, on_a_port
from tickspan_desk.options import DEFAULT_PORT, GRPC_PORT, OTLP_PORT, DeskOptions
from tickspan_desk.registration import Claim, Registration
from tickspan_desk.sessions import load
from tickspan_desk.store import Store
from tickspan_desk.web.app import make_app
from tickspan_desk.web.security import LOOPBACK, make_token

__all__ = ["Desk", "DeskError", "Places"]

_LOGGER = logging.getLogger(__name__)
_LIMITS: Final = Limits(stop_timeout_s=0.5)
_STARTING_S: Final = 10.0
_STOPPING_S: Final = 1.0
_FORWARDING_S: Final = 0.5
_MOST_REQUESTS: Final = 64


class DeskError(Exception):
    """A desk cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a desk is reached.

    Attributes:
        page: its URL, with the token behind the `#`, which no server and no log ever gets.
        otlp: base URL of OTLP/HTTP.
        grpc: endpoint of OTLP/gRPC; empty where it is not taken.
        store: the file; empty for a temporary one.
        token: that other clients send as a bearer token.
    """

    page: str
    otlp: str
    grpc: str
    store: str
    token: str

    @property
    def public_page(self) -> str:
        """The page's URL without the token."""
        return self.page.partition("#")[0]


class _Server(uvicorn.Server):
    """Ends event streams before it waits for requests under way."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.live.end()  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess] - Starlette's
        await super().shutdown(sockets)


class Desk:
    """A desk as long as its `with` block lasts.

    Args:
        options: what it is to be.
        environ: for the collector that is forwarded to.

    Entering raises `DeskError`, `TakenError` when another desk has the store, and what the store says of a
    file that it cannot use.
    """

    def __init__(self, options: DeskOptions, environ: Mapping[str, str]) -> None:
        self._options = options
        self._environ = environ
        self._stack = ExitStack()
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._forwarder: Forwarder | None = None
        self._agent = AgentPlaces.of(options.spool)
        self.forwarded: ForwardStatistics | None = None
        """What was sent on, once the desk has ended; None where nothing was to be."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.places = self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def is_serving(self) -> bool:
        """Whether pages are answered."""
        return self._thread is not None and self._thread.is_alive()

    def look_after_agent(self) -> None:
        """Have an agent run, which is what sends processes' records here; cheap when one does."""
        if self._options.starts_agent:
            ensure(self._agent)

    def forward_statistics(self) -> ForwardStatistics | None:
        """What was sent on so far; None where nothing is to be."""
        return self._forwarder.statistics() if self._forwarder else None

    def _open(self, stack: ExitStack) -> Places:
        options = self._options
        claim = self._claim(stack)
        store = stack.enter_context(
            Store(options.store, max_bytes=options.max_bytes, max_age_s=options.max_age_s)
        )
        intake = self._intake(store, stack)
        token = make_token()
        sockets = _sockets(options, stack)
        port: int = sockets[0].getsockname()[1]
        self._serve(store, token, sockets, stack)
        otlp = _receive(options, intake, token, stack)
        grpc = _receive_grpc(options, intake, stack)
        if options.forward and leads_to(options.forward, (int(otlp.rpartition(":")[2]), port)):
            raise DeskError(f"--forward: {options.forward} is this desk itself")
        if options.load is not None:
            _load(options.load, intake)
        page = f"http://127.0.0.1:{port}/"
        places = Places(f"{page}#{token}", otlp, grpc, str(options.store or ""), token)
        name = claim.name if claim else token_name(token)
        if claim is not None:
            claim.tell(places.page)
        self._register(Registration(options.spool, name, otlp, page, is_lasting=claim is not None), stack)
        self._await_page()
        return places

    def _claim(self, stack: ExitStack) -> Claim | None:
        if self._options.store is None:
            return None
        claim = Claim(self._options.store)
        stack.callback(claim.release)
        return claim

    def _intake(self, store: Store, stack: ExitStack) -> Intake:
        takers: list[Callable[[Batch], None]] = [store.take]
        if self._options.forward:
            forwarder = self._forwarder = Forwarder(self._options.forward, self._environ)
            takers.append(forwarder.take)
            stack.callback(self._end_forwarding, forwarder)
        return Intake(takers)

    def _end_forwarding(self, forwarder: Forwarder) -> None:
        self.forwarded = forwarder.stop(_FORWARDING_S)

    def _serve(self, store: Store, token: str, sockets: list[socket.socket], stack: ExitStack) -> None:
        elsewhere = self._options.elsewhere
        name = f"[{elsewhere}]" if ":" in elsewhere else elsewhere
        app = make_app(
            store,
            token=token,
            hosts=LOOPBACK | {name} if elsewhere else LOOPBACK,
            actions=actions_of(store, self._options.store),
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",
            ws="none",
            loop="asyncio",
            limit_concurrency=_MOST_REQUESTS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = self._server = _Server(config)
        self._thread = threading.Thread(
            target=server.run, args=(sockets,), name="tickspan-desk-page", daemon=True
        )
        self._thread.start()
        stack.callback(self._end_serving, server, self._thread)

    def _end_serving(self, server: _Server, thread: threading.Thread) -> None:
        server.should_exit = True
        thread.join(_STOPPING_S)

    def _await_page(self) -> None:
        deadline_s = time.monotonic() + _STARTING_S
        server, thread = self._server, self._thread
        assert server is not None
        assert thread is not None
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline_s:
                raise DeskError("the page could not be served; the lines above say why")
            time.sleep(0.005)

    def _register(self, registration: Registration, stack: ExitStack) -> None:
        try:
            stack.enter_context(registration)
        except OSError as error:
            raise DeskError(
                f"the spool {self._options.spool} cannot be written to ({error.strerror}): "
                "set TICKSPAN_SPOOL_DIR"
            ) from None
        self.look_after_agent()


def token_name(token: str) -> str:
    """The name among viewers of a desk that keeps nothing: as random as its token, and not its token."""
    from hashlib import sha256

    return sha256(token.encode()).hexdigest()[:32]


def _sockets(options: DeskOptions, stack: ExitStack) -> list[socket.socket]:
    others = [options.elsewhere] if options.elsewhere else []
    try:
        sockets = on_a_port(lambda port: loopback(port, others), options.port, DEFAULT_PORT)
    except PortTakenError as taken:
        raise DeskError(
            f"--port: port {taken.port} is taken or not allowed; choose another, or 0 for any"
        ) from None
    except OSError as error:
        raise DeskError(
            f"--listen-elsewhere: cannot listen on {options.elsewhere}: {error.strerror}"
        ) from None
    for sock in sockets:
        stack.callback(sock.close)
    return sockets


def _receive(options: DeskOptions, intake: Intake, token: str, stack: ExitStack) -> str:
    """Listen for OTLP/HTTP on every loopback address; the endpoint."""

    def listen(port: int) -> list[Receiver]:
        with ExitStack() as made:
            first = made.enter_context(Receiver(intake, port=port, limits=_LIMITS))
            receivers = [first]
            same_port = int(first.endpoint.rpartition(":")[2])
            if has_ipv6():
                receivers.append(
                    made.enter_context(Receiver(intake, host="::1", port=same_port, limits=_LIMITS))
                )
            made.pop_all()
            return receivers

    try:
        receivers = on_a_port(listen, options.otlp_port, OTLP_PORT)
    except PortTakenError as taken:
        raise DeskError(
            f"--otlp-port: port {taken.port} is taken; choose another, or 0 for any free one"
        ) from None
    for receiver in receivers:
        stack.callback(receiver.stop)
    endpoint = receivers[0].endpoint
    if options.elsewhere:
        port = int(endpoint.rpartition(":")[2])
        elsewhere = Receiver(intake, host=options.elsewhere, port=port, limits=_LIMITS, token=token)
        try:
            stack.enter_context(elsewhere)
        except OSError as error:
            raise DeskError(f"--listen-elsewhere: {error.strerror}") from None
    return endpoint


def has_ipv6() -> bool:
    """Whether this machine has the address ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _receive_grpc(options: DeskOptions, intake: Intake, stack: ExitStack) -> str:
    if not options.has_grpc:
        return ""
    try:
        from tickspan_desk.grpc_receiver import GrpcReceiver  # grpcio is an extra
    except ImportError as error:
        raise DeskError(f"--grpc: needs {error.name}: pip install 'tickspan-desk[grpc]'") from None
    receiver = GrpcReceiver(intake, port=GRPC_PORT, limits=_LIMITS)
    try:
        stack.enter_context(receiver)
    except OSError:
        receiver = stack.enter_context(GrpcReceiver(intake, limits=_LIMITS))
    return receiver.endpoint


def _load(path: Path, intake: Intake) -> None:
    """Show a session. What `SessionError` says is for the caller; what came before is shown."""
    for batch in load(path):
        intake(batch)
