"""The feed: a venue's socket in a process of its own, with a message every so many microseconds."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from benchmarks.sidebyside.lines import answer, questions

MESSAGE: Final = struct.Struct("<QQ112x")
"""When it was sent, by the clock that all processes share, its number, and as many bytes as a ticker has."""
_PATIENCE_S = 30.0


def main() -> None:
    """Be ready; then for each plan say the port, feed who connects, and say how late the feed was."""
    answer({})
    for plan in questions():
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_PATIENCE_S)
            answer({"port": server.getsockname()[1]})
            connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer({"latest_ns": _feed(connection, plan["first"], plan["messages"], plan["per_second"])})


def _feed(connection: socket.socket, first: int, messages: int, per_second: int) -> int:
    interval_ns = 1_000_000_000 // per_second
    due, latest_ns = time.perf_counter_ns() + interval_ns, 0
    for number in range(first, first + messages):
        ahead = due - time.perf_counter_ns()
        if ahead > 0:
            time.sleep(ahead / 1e9)
        now = time.perf_counter_ns()
        latest_ns = max(latest_ns, now - due)
        connection.sendall(MESSAGE.pack(now, number))
        due += interval_ns
    return latest_ns


def listen(port: int, messages: int, handle: Callable[[int, int], None]) -> list[int]:
    """In a contender: handle each message; nanoseconds from sending to the end of handling, in order."""
    latencies: list[int] = []
    buffer = bytearray(MESSAGE.size)
    view = memoryview(buffer)
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        connection.settimeout(None)
        for _ in range(messages):
            got = connection.recv_into(view)
            while got < MESSAGE.size:
                got += _more(connection, view[got:])
            sent, number = MESSAGE.unpack(buffer)
            handle(number, 1)
            latencies.append(time.perf_counter_ns() - sent)
    return latencies


def _more(connection: socket.socket, view: memoryview) -> int:
    got = connection.recv_into(view)
    if not got:
        raise ConnectionError("the feed ended before its last message")
    return got


if __name__ == "__main__":
    main()
