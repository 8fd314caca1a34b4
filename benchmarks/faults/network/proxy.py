"""Proxy: a TCP proxy on loopback that fails on schedule."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from .schedule import Mode, Schedule

_TICK_S: Final = 0.02
_SLOW_S: Final = 0.3
_DRIP_S: Final = 0.05
_PIECE: Final = 65536
_TRICKLE: Final = 2048
_NOISE: Final = b"\x16\x03\x01\x00\xff HTTP/9.9 \xff\xfe\x00 garbage\r\n\r\n" * 8
_CONNECTIONS: Final = 256
_PORTS: Final = range(18_000, 30_000)
_next_port: Final = itertools.count(os.getpid() * 61)
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Stands between a workload and its server. Each connection has two threads; all end with `close()`."""

    def __init__(self, target: tuple[str, int], schedule: Schedule) -> None:
        self._target = target
        self._schedule = schedule
        self._started: float | None = None
        self._is_healed = threading.Event()
        self._is_closed = threading.Event()
        self._links: list[_Link] = []
        self._fillers: list[socket.socket] = []
        self._holder = _held()  # keeps the port while nobody listens: connections are refused then
        self.port: int = self._holder.getsockname()[1]
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="faults-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Proxy on port {self.port}, {self.mode()[1]}, {len(self._links)} connections>"

    def begin(self) -> None:
        """The schedule's clock starts now; until then its first phase lasts."""
        self._started = time.monotonic()

    def heal(self) -> None:
        """End all faults, whatever the schedule says."""
        self._is_healed.set()

    def mode(self) -> tuple[int, Mode]:
        """The phase that it is now."""
        if self._is_healed.is_set():
            return -1, Mode.PASS
        started = self._started
        return self._schedule.at(0.0 if started is None else time.monotonic() - started)

    def close(self) -> None:
        """Reset all connections and end all threads."""
        self._is_closed.set()
        self._thread.join(5.0)
        self._stop_listening()
        self._holder.close()
        for link in self._links:
            link.reset()

    def _run(self) -> None:
        phase: int | None = None
        while not self._is_closed.is_set():
            number, mode = self.mode()
            if number != phase:
                phase = number
                self._enter(mode)
            if mode in (Mode.REFUSE, Mode.UNANSWERED):
                self._is_closed.wait(_TICK_S)
                continue
            self._accept()

    def _enter(self, mode: Mode) -> None:
        """Make the listener and the open connections fit the phase that begins."""
        self._links = [link for link in self._links if not link.is_over]
        for link in self._links:
            link.meet(mode)
        self._stop_listening()
        if mode is Mode.REFUSE:
            return
        self._listener = _bound(self.port)
        self._listener.listen(0 if mode is Mode.UNANSWERED else 128)
        self._listener.settimeout(_TICK_S)
        if mode is Mode.UNANSWERED:
            self._fill_queue()

    def _stop_listening(self) -> None:
        for open_ in (*self._fillers, *filter(None, [self._listener])):
            open_.close()
        self._fillers, self._listener = [], None

    def _fill_queue(self) -> None:
        """Complete the few connections that the kernel queues; what comes later gets no answer."""
        for _ in range(2):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)  # noqa: FBT003 - the library's
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:  # nobody came in time
            return
        if len(self._links) >= _CONNECTIONS:
            self._links = [link for link in self._links if not link.is_over]
        if len(self._links) >= _CONNECTIONS:
            _reset(client)
            return
        self._links.append(_Link(client, self._target, self))


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, target: tuple[str, int], proxy: Proxy) -> None:
        self._client = client
        self._proxy = proxy
        self._is_dead = threading.Event()  # for ever, without a word
        self.is_over = False
        mode = proxy.mode()[1]
        if mode is Mode.RESET:
            self.reset()
            return
        if mode is Mode.BLACK_HOLE:
            self._is_dead.set()
        try:
            self._server = socket.create_connection(target, 2.0)
        except OSError:
            self.reset()
            return
        for receiver, hand_on in ((client, self._request), (self._server, self._answer)):
            threading.Thread(
                target=self._pump, args=(receiver, hand_on), name="faults-link", daemon=True
            ).start()

    def meet(self, mode: Mode) -> None:
        """A phase begins while this connection is open."""
        if mode in (Mode.HALF_OPEN, Mode.BLACK_HOLE):
            self._is_dead.set()
        elif mode in (Mode.REFUSE, Mode.RESET, Mode.UNANSWERED):
            self.reset()

    def reset(self) -> None:
        """End it with a reset towards the client."""
        self.is_over = True
        _reset(self._client)
        if hasattr(self, "_server"):
            _reset(self._server)

    def _request(self, piece: bytes, mode: Mode) -> bool:
        """Hand a piece of a request on; False when the connection is over."""
        if mode is Mode.CUT_REQUEST:
            self._server.sendall(piece[: max(1, len(piece) // 2)])
            self.reset()
            return False
        time.sleep({Mode.SLOW: _SLOW_S, Mode.DRIP_REQUEST: _DRIP_S}.get(mode, 0.0))
        self._server.sendall(piece)
        return True

    def _answer(self, piece: bytes, mode: Mode) -> bool:
        """Hand a piece of an answer on; False when the connection is over."""
        if mode is Mode.CUT_ANSWER:
            self.reset()
            return False
        if mode is Mode.DRIP:
            self._drip(piece)
            return True
        time.sleep(_SLOW_S if mode is Mode.SLOW else 0.0)
        shown = {Mode.GARBAGE: _NOISE, Mode.HALF_ANSWER: piece[: max(1, len(piece) // 2)]}.get(mode, piece)
        self._client.sendall(shown)
        if mode in (Mode.HALF_ANSWER, Mode.CLOSE_IDLE):
            self._close()
            return False
        return True

    def _drip(self, piece: bytes) -> None:
        for index in range(len(piece)):
            self._client.sendall(piece[index : index + 1])
            if self._proxy.mode()[1] is Mode.DRIP:
                time.sleep(_DRIP_S)

    def _pump(self, receiver: socket.socket, hand_on: Callable[[bytes, Mode], bool]) -> None:
        """A thread: one direction, until either side is gone."""
        try:
            self._pump_until_closed(receiver, hand_on)
        except OSError:
            self.reset()

    def _pump_until_closed(self, receiver: socket.socket, hand_on: Callable[[bytes, Mode], bool]) -> None:
        receiver.settimeout(_TICK_S)
        while not self.is_over:
            mode = self._proxy.mode()[1]
            if mode is Mode.STALL:
                time.sleep(_TICK_S)
                continue
            try:
                piece = receiver.recv(_TRICKLE if mode is Mode.DRIP_REQUEST else _PIECE)
            except TimeoutError:
                continue
            if self._is_dead.is_set():
                if piece:
                    continue
                return  # the other side never hears of it
            if not piece:
                self._close()
                return
            if not hand_on(piece, self._proxy.mode()[1]):
                return

    def _close(self) -> None:
        self.is_over = True
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _held() -> socket.socket:
    """Holds a port from below those that the system chooses: nobody else is given it."""
    for _ in range(_PORTS.stop - _PORTS.start):
        port = _PORTS.start + next(_next_port) % (_PORTS.stop - _PORTS.start)
        try:
            return _bound(port, is_shared=False)
        except OSError:  # somebody's
            continue
    raise OSError(f"no port is free between {_PORTS.start} and {_PORTS.stop}")


def _bound(port: int, *, is_shared: bool = True) -> socket.socket:
    """A socket that does not listen yet; one that was shut down would have deaf children."""
    new = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_shared)
    try:
        new.bind(("127.0.0.1", port))
    except OSError:
        new.close()
        raise
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return new


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
