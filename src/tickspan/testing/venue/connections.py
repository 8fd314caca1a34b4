"""One WebSocket connection: messages leave in order, and a reader that is too slow is dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import WSMsgType, web

_LONGEST_QUEUE = 10_000
_PING_S = 20.0


class Connection:
    """Serves one WebSocket until either side ends it. Lives on the venue's loop.

    A `str` travels as a text frame, `bytes` as a binary one, both ways.
    """

    def __init__(self) -> None:
        self._socket = web.WebSocketResponse(heartbeat=_PING_S, compress=False)
        self._outgoing: asyncio.Queue[str | bytes] = asyncio.Queue(_LONGEST_QUEUE)
        self._transport: asyncio.BaseTransport | None = None

    async def serve(
        self,
        request: web.BaseRequest,
        receive: Callable[[str], None],
        receive_bytes: Callable[[bytes], None] | None = None,
    ) -> web.StreamResponse:
        """Shake hands, then hand each message to `receive` until the connection ends.

        Binary messages go to `receive_bytes`, and nowhere without one.
        """
        await self._socket.prepare(request)
        self._transport = request.transport
        writer = asyncio.ensure_future(self._write())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    receive(message.data)
                elif message.type is WSMsgType.BINARY and receive_bytes is not None:
                    receive_bytes(message.data)
        except ConnectionError:
            pass  # cut while it answered a ping or a closing handshake: it ends either way
        finally:
            writer.cancel()
        return self._socket

    def send(self, message: str | bytes) -> None:
        """Queue one message. A reader that leaves the queue full loses its connection."""
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self.abort()

    def send_json(self, message: object) -> None:
        """Queue one JSON message."""
        self.send(json.dumps(message, separators=(",", ":")))

    def abort(self) -> None:
        """Cut the connection: no closing handshake, as when a network breaks."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    async def _write(self) -> None:
        while True:
            message = await self._outgoing.get()
            try:
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_str(message)
            except ConnectionError:
                return
