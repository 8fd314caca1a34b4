"""Listening: sockets on both loopback addresses at one port, and which port that is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar

__all__ = ["PortTakenError", "loopback", "on_a_port"]

LOOPBACKS: Final = ("127.0.0.1", "::1")
_TRIES: Final = 20
_BACKLOG: Final = 128
_UNAVAILABLE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

Made = TypeVar("Made")


class PortTakenError(Exception):
    """Another program has the port."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port


def on_a_port(make: Callable[[int], Made], asked: int | None, usual: int) -> Made:
    """What `make` makes at the port that was asked for, else at the usual one or one of the next.

    `make` raises OSError with EADDRINUSE where it cannot. Raises `PortTakenError` when all are taken.
    """
    ports = [asked] if asked is not None else [*range(usual, usual + _TRIES), 0]
    for port in ports:
        try:
            return make(port)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
    raise PortTakenError(ports[0])


def loopback(port: int, others: Sequence[str] = ()) -> list[socket.socket]:
    """Listening sockets at one port of every loopback address that there is, and of `others`.

    Raises OSError when one of them cannot be had.
    """
    with ExitStack() as stack:
        made: list[socket.socket] = []
        for address in (*LOOPBACKS, *others):
            try:
                sock = _listen(address, port)
            except OSError as error:
                if address == LOOPBACKS[1] and error.errno in _UNAVAILABLE:  # a kernel without IPv6
                    continue
                raise
            stack.callback(sock.close)
            made.append(sock)
            port = sock.getsockname()[1]
        stack.pop_all()
        return made


def _listen(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
