"""One WebSocket connection: messages leave in order, and a reader that is too slow is dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import WSMsgType, web

_LONGEST_QUEUE = 10_000
_PING_S = 20.0

Receive = Callable[[str], None]


class Connection:
    """Serves one WebSocket until either side ends it. Lives on the venue's loop."""

    def __init__(self) -> None:
        self._socket = web.WebSocketResponse(heartbeat=_PING_S, compress=False)
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(_LONGEST_QUEUE)
        self._transport: asyncio.BaseTransport | None = None

    async def serve(self, request: web.BaseRequest, receive: Receive) -> web.StreamResponse:
        """Shake hands, then hand each text message to `receive` until the connection ends."""
        await self._socket.prepare(request)
        self._transport = request.transport
        writer = asyncio.ensure_future(self._write())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    receive(message.data)
        except ConnectionError:
            pass  # cut while it answered a ping or a closing handshake: it ends either way
        finally:
            writer.cancel()
        return self._socket

    def send(self, text: str) -> None:
        """Queue one message. A reader that leaves the queue full loses its connection."""
        try:
            self._outgoing.put_nowait(text)
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
            text = await self._outgoing.get()
            try:
                await self._socket.send_str(text)
            except ConnectionError:
                return
