"""One connection of a TWS client: handshake, requests in, messages out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from tickspan.testing.venue.behaviour import Fault, Point
from tickspan.testing.venue.truth import Request, Unimplemented
from tickspan.testing.venue.tws import messages, refusals, wire
from tickspan.testing.venue.tws.answers import ANSWERS
from tickspan.testing.venue.tws.client import Client, Gateway
from tickspan.testing.venue.tws.requests import Fields, UnreadableError
from tickspan.testing.venue.tws.wire import Message

_MOST_UNSENT: Final = 16 << 20
_MESSAGES_PER_S: Final = 50
_START_API: Final = 71


class Session:
    """Serves one connection. Lives on the venue's loop."""

    def __init__(self, gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._gateway = gateway
        self._reader = reader
        self._writer = writer
        self._admitted_at: deque[float] = deque(maxlen=_MESSAGES_PER_S)
        self._turned_away = 0
        self.client = Client(gateway, self.send)

    async def shake_hands(self) -> bool:
        """Agree on the version and learn the client's number; False if that came to nothing."""
        offered = await wire.read_versions(self._reader)
        if wire.SERVER_VERSION not in offered:
            self.send([messages.notice(refusals.OUT_OF_DATE)])
            return False
        now = time.gmtime(self._gateway.exchange.now_ms() / 1_000)
        self.send([(wire.SERVER_VERSION, time.strftime("%Y%m%d %H:%M:%S UTC", now))])
        asked = await self._next()
        fields = Fields(asked[1:])
        fields.skip(1)
        self.client.id = fields.whole()
        return _number(asked[0]) == _START_API

    async def serve(self) -> None:
        """Greet the client, then answer it until the connection ends."""
        gateway = self._gateway
        self.send(
            [
                messages.managed_accounts(gateway.account),
                messages.next_valid_id(gateway.floor.next_id(self.client.id)),
                *map(messages.notice, refusals.GREETINGS),
            ]
        )
        while True:
            asked = await self._next()
            if self._is_admitted():
                self._answer(asked)

    def send(self, told: Iterable[Message]) -> None:
        """Write messages; a client that does not read them loses its connection."""
        self._writer.write(b"".join(map(wire.frame, told)))
        if self._writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            self.cut()

    def cut(self) -> None:
        """Break the connection, as when a network does."""
        self._writer.transport.abort()

    async def _next(self) -> list[str]:
        """The next request, written down."""
        asked = await wire.read_fields(self._reader)
        answer = ANSWERS.get(_number(asked[0]))
        name = answer.name if answer is not None else asked[0]
        now_ms = self._gateway.exchange.now_ms()
        self._gateway.witness.saw(Request("TWS", name, "", (), ",".join(asked), now_ms))
        return asked

    def _is_admitted(self) -> bool:
        """Whether the message is answered; one too many is dropped with an error."""
        exchange, now = self._gateway.exchange, time.monotonic()
        fault = exchange.script.strike(Point.REQUEST)
        if fault is Fault.RATE_LIMIT_429:
            self._turned_away = exchange.behaviour.rate_limit_burst
        is_full = len(self._admitted_at) == _MESSAGES_PER_S and now - self._admitted_at[0] < 1
        if fault is not Fault.BAN_418 and not self._turned_away and not is_full:
            self._admitted_at.append(now)
            return True
        self._turned_away = max(0, self._turned_away - 1)
        self.send([messages.notice(refusals.TOO_MANY_MESSAGES)])
        if fault is Fault.BAN_418:
            self._writer.close()
        return False

    def _answer(self, asked: list[str]) -> None:
        answer = ANSWERS.get(_number(asked[0]))
        if answer is None:
            self._gateway.witness.lacked(Unimplemented("TWS", asked[0]))
            self.send([messages.notice(refusals.unreadable(f"Message id {asked[0]} is unknown."))])
            return
        try:
            answer.give(self.client, Fields(asked[1:]))
        except UnreadableError as error:
            self.send([messages.notice(refusals.unreadable(str(error)))])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
