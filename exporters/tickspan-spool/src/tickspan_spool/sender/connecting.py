"""Connecting: from a host name to a connected socket, within the time of one request."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .deadline import Countdown, DeadlineSocket

Lookup = Callable[..., Sequence[Any]]
_MOST_LOOKUPS = 2
_LEAST_TRY_S = 0.05


class Address(NamedTuple):
    """One row of `getaddrinfo`."""

    family: int
    kind: int
    protocol: int
    place: tuple[Any, ...]


class Resolver:
    """Name resolution with a deadline.

    `getaddrinfo` cannot be interrupted: it runs in a thread that is left alone when time is up. At most two
    lookups are under way; while both hang, further ones fail at once.

    Args:
        lookup: `socket.getaddrinfo`, or what stands for it.
    """

    def __init__(self, lookup: Lookup = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._free = threading.BoundedSemaphore(_MOST_LOOKUPS)

    def resolve(self, host: str, port: int, timeout_s: float) -> list[Address]:
        """Every stream address of a host, in the order of preference of the system.

        Raises:
            TimeoutError: no answer in time.
            OSError: there is no such name, or it cannot be looked up.
        """
        literal = _literal(host, port)
        if literal:
            return literal
        if not self._free.acquire(blocking=False):
            raise TimeoutError(f"earlier look-ups of {host} still hang in the system's resolver")
        answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._run, args=(host, port, answers), name="tickspan-resolver", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no thread at the end of an interpreter, or none left in the system
            self._free.release()
            raise OSError(f"no thread for looking up {host}: {error}") from error
        return _taken(answers, host, timeout_s)

    def _run(self, host: str, port: int, answers: queue.SimpleQueue[list[Address] | Exception]) -> None:
        try:
            rows = self._lookup(host, port, type=socket.SOCK_STREAM)
            answers.put([Address(row[0], row[1], row[2], row[4]) for row in rows])
        except Exception as error:  # noqa: BLE001 - a thread's top; the error goes to who asked
            answers.put(error)
        finally:
            self._free.release()


def _literal(host: str, port: int) -> list[Address]:
    """The address that a host is when it is no name: nothing to look up, nothing that can hang."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [Address(row[0], row[1], row[2], row[4]) for row in rows]


def _taken(
    answers: queue.SimpleQueue[list[Address] | Exception], host: str, timeout_s: float
) -> list[Address]:
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"looking up {host} took longer than {timeout_s:.3g} s") from None
    if isinstance(answer, OSError):
        raise OSError(f"looking up {host}: {answer.strerror or answer}") from answer
    if isinstance(answer, Exception):
        raise OSError(f"looking up {host}: {type(answer).__name__}: {answer}") from answer
    return answer


def connect(resolver: Resolver, host: str, port: int, countdown: Countdown) -> DeadlineSocket:
    """A socket connected to the first address that answers; each gets its share of the time that is left.

    Raises:
        OSError: none of them did. The message names the last.
    """
    addresses = resolver.resolve(host, port, countdown.left_s())
    failure: OSError = OSError(f"{host} has no address")
    for index, address in enumerate(addresses):
        share_s = max(_LEAST_TRY_S, countdown.left_s() / (len(addresses) - index))
        try:
            return _connect_one(address, share_s, countdown)
        except OSError as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
            failure = OSError(f"connecting to {host} ({address.place[0]}, port {port}): {reason}")
    raise failure


def _connect_one(address: Address, timeout_s: float, countdown: Countdown) -> DeadlineSocket:
    connection = DeadlineSocket(address.family, address.kind, address.protocol)
    try:
        connection.countdown = countdown
        connection.settimeout(timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address.place)
    except BaseException:
        connection.close()
        raise
    return connection
