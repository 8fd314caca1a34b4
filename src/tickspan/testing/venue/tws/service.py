"""The TWS dialect of a simulated venue: the API of Interactive Brokers' Trader Workstation on a socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Final

from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.prices import Tick
from tickspan.testing.venue.truth import Witness
from tickspan.testing.venue.tws import messages, refusals
from tickspan.testing.venue.tws.client import Gateway
from tickspan.testing.venue.tws.contracts import Instruments
from tickspan.testing.venue.tws.floor import Floor
from tickspan.testing.venue.tws.requests import UnreadableError
from tickspan.testing.venue.tws.session import Session
from tickspan.testing.venue.tws.wire import BrokenFrameError, Message

PAPER_ACCOUNT: Final = "DU4815162"
"""The account, unless the venue's key is itself the number of one."""

_ACCOUNT: Final = re.compile(r"D?[UFI]\d{5,9}")
_ENDED: Final = (asyncio.IncompleteReadError, ConnectionError, BrokenFrameError, UnreadableError)


class TwsService:
    """Serves every client of the dialect. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, credentials: Credentials, witness: Witness) -> None:
        key = credentials.api_key
        account = key if _ACCOUNT.fullmatch(key) else PAPER_ACCOUNT
        instruments = Instruments(exchange.behaviour.markets())
        self._floor = Floor(exchange, instruments, account, self)
        self._gateway = Gateway(exchange, instruments, self._floor, witness, account)
        self._sessions: dict[int, Session] = {}
        self._last_update_ids: dict[str, int] = {}
        exchange.tick_listeners.add(self._on_tick)
        exchange.delivery.listeners.add(self._on_report)
        exchange.disconnect_listeners.add(self.disconnect)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        session = Session(self._gateway, reader, writer)
        try:
            if not await session.shake_hands():
                return
            if session.client.id in self._sessions:
                session.send([messages.notice(refusals.CLIENT_ID_IN_USE)])
                return
            self._sessions[session.client.id] = session
            await session.serve()
        except _ENDED:
            pass  # the client has gone, or speaks something else
        finally:
            if self._sessions.get(session.client.id) is session:
                del self._sessions[session.client.id]
            writer.close()

    def disconnect(self) -> None:
        """Cut every connection."""
        for session in tuple(self._sessions.values()):
            session.cut()

    def tell(self, client_id: int, told: Iterable[Message]) -> None:
        """Send to this client, if it is connected."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.send(told)

    def cut(self, client_id: int) -> None:
        """Break this client's connection."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.cut()

    def _on_tick(self, tick: Tick) -> None:
        last = self._last_update_ids.get(tick.market.id, tick.first_update_id - 1)
        self._last_update_ids[tick.market.id] = tick.last_update_id
        for session in tuple(self._sessions.values()):
            if tick.first_update_id != last + 1:
                # Ticks have no numbers here: that some were lost is told as a break towards the exchange.
                session.send(map(messages.notice, refusals.INTERRUPTION))
            session.client.on_tick(tick)

    def _on_report(self, report: Report) -> None:
        self._floor.on_report(report)
        if report.execution is not None:
            instrument = self._gateway.instruments.of_market(report.order.symbol)
            for session in tuple(self._sessions.values()):
                session.client.on_fill(instrument)
