"""Replies find who asked, however they arrive, and whoever has gone meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as LateError

from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.remote.wire import Wire, open_wire

_PING = b"*1\r\n$4\r\nPING\r\n"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Transport(asyncio.Transport):
    """Takes everything and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True


def _wire(**options: Any) -> tuple[Wire, _Transport]:
    wire, transport = Wire(asyncio.get_running_loop(), timeout_s=1.0, **options), _Transport()
    wire.connection_made(transport)
    return wire, transport


def _encoded(value: Any) -> bytes:
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"*%d\r\n%s" % (len(value), b"".join(map(_encoded, value)))


_PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40)
_replies = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(
    replies=st.lists(st.tuples(_replies, st.booleans(), st.booleans()), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=40),
)
def test_every_reply_reaches_who_asked_for_it_wherever_the_bytes_are_cut(
    replies: Sequence[tuple[Any, bool, bool]], cuts: Sequence[int]
) -> None:
    async def scene() -> None:
        wire, _ = _wire()
        futures = [wire.send(_PING) for _ in replies]
        for future, (_, is_cancelled, _) in zip(futures, replies, strict=True):
            if is_cancelled:
                future.cancel()
        stream = b"".join((_PUSH if pushed else b"") + _encoded(value) for value, _, pushed in replies)
        position, number = 0, 0
        while position < len(stream):
            size = cuts[number % len(cuts)]
            wire.data_received(stream[position : position + size])
            position, number = position + size, number + 1
        told = ["gone" if future.cancelled() else future.result() for future in futures]
        assert told == ["gone" if is_cancelled else value for value, is_cancelled, _ in replies]
        assert not wire.pending
        wire.give_up(LostError("done"))

    asyncio.run(scene())


def test_commands_of_one_turn_leave_in_one_write() -> None:
    async def scene() -> list[bytes]:
        wire, transport = _wire()
        futures = [wire.send(_PING) for _ in range(3)]
        await asyncio.sleep(0)
        wire.data_received(b"+PONG\r\n" * 3)
        assert [await future for future in futures] == [b"PONG"] * 3
        wire.leave()
        return transport.writes

    assert asyncio.run(scene()) == [_PING * 3]


def test_an_error_of_the_server_is_for_its_command_only() -> None:
    async def scene() -> list[Any]:
        wire, _ = _wire()
        futures = [wire.send(_PING) for _ in range(4)]
        wire.data_received(b"+a\r\n-OOM command not allowed\r\n-ERR wrong kind\r\n+b\r\n")
        told = await asyncio.gather(*futures, return_exceptions=True)
        wire.leave()
        return [type(each) if isinstance(each, Exception) else each for each in told]

    assert asyncio.run(scene()) == [b"a", OutOfMemoryError, ResponseError, b"b"]


@pytest.mark.parametrize(
    "stream", [b"+a\r\n+nobody asked\r\n", b"+a\r\n?what\r\n"], ids=["unasked", "no protocol"]
)
def test_a_server_that_breaks_the_protocol_is_left(stream: bytes) -> None:
    async def scene() -> tuple[Any, bool, bool]:
        wire, transport = _wire()
        future = wire.send(_PING)
        wire.data_received(stream)
        return await future, transport.is_aborted, wire.error is not None

    assert asyncio.run(scene()) == (b"a", True, True)


def test_everybody_hears_of_a_lost_connection_with_an_exception_of_their_own() -> None:
    async def scene() -> list[Any]:
        lost: list[Wire] = []
        wire, _ = _wire(on_lost=lost.append)
        futures = [wire.send(_PING) for _ in range(3)]
        futures[0].cancel()
        wire.connection_lost(None)
        told = await asyncio.gather(*futures, return_exceptions=True)
        assert lost == [wire]
        assert told[1] is not told[2]
        return [type(each) for each in told]

    assert asyncio.run(scene()) == [asyncio.CancelledError, LostError, LostError]


def _served(script: Script, scene: Callable[[Wire], Awaitable[Any]], timeout_s: float = 0.05) -> Any:
    """What `scene` gives with a wire to a server that does as `script` says after the greeting."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"HELLO\r\n$1\r\n3\r\n")
        writer.write(b"%0\r\n")
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        async with server:
            wire = await open_wire(
                RemoteSettings(host="127.0.0.1", port=port).place(),
                RemoteSettings(connect_timeout_s=5.0),
                lambda loop: Wire(loop, timeout_s=timeout_s),
            )
            try:
                return await scene(wire)
            finally:
                wire.leave()
                for _ in range(4):
                    await asyncio.sleep(0)

    return asyncio.run(run())


def test_replies_that_come_byte_by_byte_are_read_as_any_others() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(_PING) * 4)
        for byte in b"+one\r\n$3\r\ntwo\r\n*2\r\n:1\r\n_\r\n%1\r\n+k\r\n,1.5\r\n":
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async def ask(wire: Wire) -> list[Any]:
        return await asyncio.gather(*[wire.send(_PING) for _ in range(4)])

    assert _served(drip, ask, timeout_s=5.0) == [b"one", b"two", [1, None], {b"k": 1.5}]


def test_a_late_reply_is_nobody_elses() -> None:
    ask_again = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(_PING))
        await ask_again.wait()
        await reader.readexactly(len(_PING))
        writer.write(b"+first\r\n+second\r\n")
        await reader.read()

    async def ask(wire: Wire) -> bytes:
        with pytest.raises(LateError):
            await wire.send(_PING)
        second = wire.send(_PING)
        ask_again.set()
        return await second

    assert _served(late, ask, timeout_s=0.2) == b"second"


def test_a_silent_server_is_left_after_two_timeouts() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def ask(wire: Wire) -> tuple[type[Any], bool]:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()

        def note(_: Wire) -> None:
            lost.set()

        wire.on_lost = note
        begun_s = loop.time()
        with pytest.raises(LateError):
            await wire.send(_PING)
        late_s = loop.time() - begun_s
        assert 0.05 <= late_s < 0.25
        await lost.wait()
        assert 0.1 <= loop.time() - begun_s < 0.5
        return type(wire.error), bool(wire.pending)

    assert _served(silent, ask) == (LateError, False)


def test_a_busy_loop_is_no_timeout_when_the_reply_is_there() -> None:
    async def prompt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readexactly(len(_PING)):
            writer.write(b"+PONG\r\n")

    async def ask(wire: Wire) -> bytes:
        loop = asyncio.get_running_loop()
        future = wire.send(_PING)
        loop.call_later(0.01, _spin_s, 0.3)
        return await future

    assert _served(prompt, ask) == b"PONG"


def _spin_s(duration_s: float) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + duration_s
    while loop.time() < end_s:
        pass


def test_a_refused_greeting_leaves_no_connection() -> None:
    closed = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n3\r\n")
        writer.write(b"-WRONGPASS invalid username-password pair\r\n")
        await reader.read()
        closed.set()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        limits = RemoteSettings(connect_timeout_s=5.0)
        async with server:
            with pytest.raises(LostError):  # redis-py's AuthenticationError is one
                await open_wire(
                    RemoteSettings(host="127.0.0.1", port=port).place(),
                    limits,
                    lambda loop: Wire(loop, timeout_s=5.0),
                )
            await asyncio.wait_for(closed.wait(), 5.0)

    asyncio.run(run())


def test_commands_wait_while_the_system_takes_no_more_and_leave_together_then() -> None:
    async def scene() -> tuple[list[bytes], list[bytes]]:
        wire, transport = _wire()
        wire.pause_writing()
        futures = [wire.send(_PING)]
        await asyncio.sleep(0)
        futures.append(wire.send(_PING))
        before = list(transport.writes)
        wire.resume_writing()
        wire.data_received(b"+a\r\n+b\r\n")
        assert [await future for future in futures] == [b"a", b"b"]
        wire.leave()
        return before, transport.writes

    assert asyncio.run(scene()) == ([], [_PING * 2])


def test_a_command_that_the_system_never_takes_is_late_all_the_same() -> None:
    async def scene() -> tuple[type[Any], bool]:
        lost = asyncio.Event()
        loop, transport = asyncio.get_running_loop(), _Transport()
        wire = Wire(loop, timeout_s=0.02, on_lost=lambda _: lost.set())
        wire.connection_made(transport)
        wire.pause_writing()
        with pytest.raises(LateError):
            await wire.send(_PING)
        await lost.wait()
        return type(wire.error), transport.is_aborted

    assert asyncio.run(scene()) == (LateError, True)


def test_a_system_that_takes_nothing_of_a_lot_is_left() -> None:
    async def scene() -> type[Any]:
        wire, transport = Wire(asyncio.get_running_loop(), timeout_s=0.2), _Transport()
        wire.connection_made(transport)
        wire.pause_writing()
        late = wire.send(b"x" * 20_000_000)
        more = wire.send(b"x" * 20_000_000)
        told = await asyncio.gather(late, more, return_exceptions=True)
        assert [type(each) for each in told] == [LateError, LateError]
        return type(wire.error)

    assert asyncio.run(scene()) is LostError


def test_who_comes_after_the_connection_is_lost_is_told_at_once() -> None:
    async def scene() -> list[Any]:
        wire, _ = _wire()
        wire.connection_lost(None)
        told = await asyncio.gather(wire.send(_PING), wire.send(_PING), return_exceptions=True)
        return [type(each) for each in told]

    assert asyncio.run(scene()) == [LostError, LostError]
