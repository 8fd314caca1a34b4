"""The FIX 4.4 dialect of a simulated venue: an acceptor that any initiator can log on to."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final

from tickspan.testing.venue.behaviour import Fault, Point
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.fix import reports
from tickspan.testing.venue.fix.entry import OrderEntry
from tickspan.testing.venue.fix.market_data import MarketData
from tickspan.testing.venue.fix.requests import BusinessRefusedError, SessionRefusedError
from tickspan.testing.venue.fix.session import VENUE, Clocks, Session
from tickspan.testing.venue.fix.tags import MsgType, Tag
from tickspan.testing.venue.fix.wire import Message, Splitter
from tickspan.testing.venue.limits import Budget
from tickspan.testing.venue.prices import Tick
from tickspan.testing.venue.truth import Request, Unimplemented, Witness

_READ_BYTES: Final = 65_536
_LONGEST_QUEUE_BYTES: Final = 16 * 1024 * 1024
_BEAT_S: Final = 0.1
_LOGON_PATIENCE_S: Final = 10.0
_LOST_NUMBERS: Final = 7

OTHER: Final = 0
UNSUPPORTED_TYPE: Final = 3

Handle = Callable[[Session, Message], None]


class FixService:
    """Sessions, order entry and market data. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, credentials: Credentials, witness: Witness) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._witness = witness
        self._budget = Budget(exchange.behaviour)
        self._turned_away = 0
        self._sessions: dict[str, Session] = {}
        self._connections: dict[_Connection, Session | None] = {}
        self._entry = OrderEntry(exchange, self._cut)
        self._market_data = MarketData(exchange)
        markets = exchange.behaviour.markets()
        self._update_ids = {market.id: exchange.prices(market.id).last_update_id for market in markets}
        self._handlers: Mapping[str, Handle] = {
            MsgType.NEW_ORDER: self._entry.place,
            MsgType.CANCEL_REQUEST: self._entry.cancel,
            MsgType.REPLACE_REQUEST: self._entry.replace,
            MsgType.STATUS_REQUEST: self._entry.tell_status,
            MsgType.MASS_STATUS_REQUEST: self._entry.tell_all,
            MsgType.MARKET_DATA_REQUEST: self._market_data.subscribe,
        }
        exchange.delivery.listeners.add(self._entry.on_report)
        exchange.tick_listeners.add(self._on_tick)
        exchange.disconnect_listeners.add(self.disconnect)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        connection = _Connection(writer)
        self._connections[connection] = None
        splitter = Splitter()
        beats = asyncio.ensure_future(self._beat(connection))
        try:
            while not connection.is_closing and (data := await reader.read(_READ_BYTES)):
                for message in splitter.feed(data):
                    self._receive(connection, message)
        except ConnectionError:
            pass  # cut by either side: it ends either way
        finally:
            beats.cancel()
            session = self._connections.pop(connection)
            if session is not None:
                session.detach()
                self._market_data.forget(session)
            connection.close()

    def disconnect(self) -> None:
        """Cut every connection: no logout, as when a network breaks."""
        for connection in tuple(self._connections):
            connection.abort()

    def _cut(self, session: Session) -> None:
        for connection, carried in tuple(self._connections.items()):
            if carried is session:
                # At once: what is said from here on waits for the next logon.
                session.detach()
                connection.abort()

    async def _beat(self, connection: _Connection) -> None:
        """Let time pass for the session of `connection`; who does not log on in time has to go."""
        deadline_s = time.monotonic() + _LOGON_PATIENCE_S
        while True:
            await asyncio.sleep(_BEAT_S)
            session = self._connections[connection]
            if session is not None:
                session.beat()
            elif time.monotonic() > deadline_s:
                connection.abort()

    def _receive(self, connection: _Connection, message: Message) -> None:
        self._witness.saw(Request("FIX", message.type, "", (), message.text, self._exchange.now_ms()))
        session = self._connections[connection] or self._opened(connection, message)
        if session is None:
            connection.close()
        elif not connection.is_closing:
            session.receive(message)

    def _opened(self, connection: _Connection, message: Message) -> Session | None:
        """The session that a first message names; None if it names none, or one that is connected."""
        client = message.get(Tag.SENDER_COMP_ID)
        if message.type != MsgType.LOGON or not client or message.get(Tag.TARGET_COMP_ID) != VENUE:
            return None
        session = self._sessions.get(client)
        if session is None:
            clocks = Clocks(self._exchange.now_ms, time.monotonic)
            session = Session(client, clocks, check=self._refused_logon, accept=self._accept)
            self._sessions[client] = session
        if session.is_connected:
            return None
        session.attach(connection)
        self._connections[connection] = session
        return session

    def _refused_logon(self, message: Message) -> str | None:
        """Why a logon is refused. One without a name is the account's owner's: many engines send none."""
        username, password = message.get(Tag.USERNAME), message.get(Tag.PASSWORD)
        if username is None and password is None:
            return None
        known = self._credentials
        is_owner = hmac.compare_digest((username or "").encode(), known.api_key.encode())
        is_proven = hmac.compare_digest((password or "").encode(), known.secret.encode())
        return None if is_owner and is_proven else "Invalid username or password"

    def _accept(self, session: Session, message: Message) -> None:
        """An application message whose turn it is."""
        if message.type == MsgType.BUSINESS_REJECT:
            return  # an answer to it would be answered in turn, and so on
        handle = self._handlers.get(message.type)
        if handle is None:
            self._witness.lacked(Unimplemented("FIX", message.type))
            body = reports.business_reject(message, UNSUPPORTED_TYPE, "Unsupported message type")
            session.send(MsgType.BUSINESS_REJECT, body)
            return
        fault = self._exchange.script.strike(Point.REQUEST)
        if fault is Fault.BAN_418:
            session.log_out("Message rate exceeded: this session is banned")
            return
        try:
            self._charge(message, fault)
            handle(session, message)
        except SessionRefusedError as refused:
            session.reject(message, refused.refusal)
        except BusinessRefusedError as refused:
            body = reports.business_reject(message, refused.reason, refused.text)
            session.send(MsgType.BUSINESS_REJECT, body)

    def _charge(self, message: Message, fault: Fault | None) -> None:
        """Count a message. Raises BusinessRefusedError when it is one too many, or scripted to be."""
        if fault is Fault.RATE_LIMIT_429:
            self._turned_away = self._exchange.behaviour.rate_limit_burst
        exceeded = self._budget.use("REQUEST_WEIGHT", 1)
        if message.type in (MsgType.NEW_ORDER, MsgType.REPLACE_REQUEST):
            exceeded = self._budget.use("ORDERS", 1) or exceeded
        if self._turned_away > 0 or exceeded:
            self._turned_away = max(0, self._turned_away - 1)
            raise BusinessRefusedError(OTHER, "Throttle limit exceeded")

    def _on_tick(self, tick: Tick) -> None:
        has_gap = tick.first_update_id != self._update_ids[tick.market.id] + 1
        self._update_ids[tick.market.id] = tick.last_update_id
        if has_gap:
            for session in self._sessions.values():
                session.lose(_LOST_NUMBERS)
        self._market_data.on_tick(tick)


class _Connection:
    """One TCP connection; messages leave in order, and a reader that is too slow is dropped."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.is_closing = False

    def write(self, data: bytes) -> None:
        if self.is_closing or self._writer.transport.is_closing():
            return  # cut by the other side, which is about to be noticed
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _LONGEST_QUEUE_BYTES:
            self.abort()

    def close(self) -> None:
        if not self.is_closing:
            self.is_closing = True
            self._writer.close()

    def abort(self) -> None:
        self.is_closing = True
        self._writer.transport.abort()
