"""FIX sessions as streams: open or not, alive, what is missing, and how the venue's clock stands."""

from __future__ import annotations

import threading
from typing import Final

from tickspan.instrumentation import Workbench
from tickspan.trading import Feed, clocks_of, feeds_of

from tickspan_fix.fields import Get, MsgType, Session, Tag, is_set, unix_ns, whole

CHANNEL: Final = "session"
MARKET_DATA: Final = "market_data"
LOGON_CLOCK: Final = "fix_logon"
"""Where a sample of the venue's clock comes from: SendingTime of its answer to a logon."""
_HEARTBEATS: Final = (MsgType.HEARTBEAT, MsgType.TEST_REQUEST)


class SessionState:
    """One session of one library. Its engine's callbacks come one at a time."""

    __slots__ = ("asked_from", "feed", "is_leaving", "logon_sent_ns", "market_data", "session")

    def __init__(self, session: Session, feed: Feed) -> None:
        self.session = session
        self.feed = feed
        self.market_data: Feed | None = None
        """Once it has carried some."""
        self.asked_from: int | None = None
        """The first number that the engine has asked to be sent again."""
        self.logon_sent_ns: int | None = None
        self.is_leaving = False
        """The program itself ends the session."""


class Sessions:
    """The sessions of one library, by their CompIDs. Thread-safe."""

    def __init__(self, bench: Workbench, library: str) -> None:
        self._feeds = feeds_of(bench)
        self._clocks = clocks_of(bench)
        self._library = library
        self._known: dict[Session, SessionState] = {}
        self._lock = threading.Lock()

    def __contains__(self, session: Session) -> bool:
        return session in self._known

    def of(self, session: Session) -> SessionState:
        """What is known of a session; from now on it is known."""
        state = self._known.get(session)
        if state is None:
            with self._lock:
                state = self._known.setdefault(session, self._new(session))
        return state

    def market_data(self, state: SessionState) -> Feed:
        """The market data that a session carries, as a stream."""
        if state.market_data is None:
            state.market_data = self._feed(state.session, MARKET_DATA, is_private=False)
        return state.market_data

    def opened(self, state: SessionState) -> None:
        """Both sides have logged on."""
        state.is_leaving = False
        state.feed.connected()

    def ended(self, state: SessionState) -> None:
        """The session is over, by our wish or by the venue's, or with its connection."""
        for feed in (state.feed, state.market_data):
            if feed is None:
                continue
            if state.is_leaving:
                feed.closed()
            else:
                feed.disconnected()

    def sent(self, state: SessionState, msg_type: str, get: Get, now_ns: int) -> None:
        """An administrative message of ours goes out."""
        if msg_type == MsgType.LOGON:
            state.logon_sent_ns = now_ns
        elif msg_type == MsgType.RESEND_REQUEST and state.feed.is_connected:
            state.asked_from = whole(get, Tag.BEGIN_SEQ_NO)

    def received(self, state: SessionState, msg_type: str, get: Get, at_ns: int) -> None:
        """Any message of the venue has come, but market data."""
        if msg_type in _HEARTBEATS:
            state.feed.alive(at_ns)
        elif msg_type == MsgType.LOGON:
            self._told_time(state, get, at_ns)
        else:
            state.feed.received(at_ns, venue_time_ns=unix_ns(get(Tag.SENDING_TIME)))
        self.followed(state, msg_type, get)

    def followed(self, state: SessionState, msg_type: str, get: Get) -> None:
        """Any message of the venue has come: after a resend request, is it the first that is new?"""
        asked_from = state.asked_from
        if asked_from is None or msg_type == MsgType.SEQUENCE_RESET or is_set(get, Tag.POSS_DUP_FLAG):
            return
        self._found_gap(state, asked_from, whole(get, Tag.MSG_SEQ_NUM))

    def _found_gap(self, state: SessionState, asked_from: int, number: int | None) -> None:
        """What was asked for has come or never will: now it is known how much was missing.

        Numbers alone do not tell: an engine hands on messages in order only, and gap fills jump by design.
        """
        state.asked_from = None
        if number is not None and number > asked_from:
            state.feed.sequenced(asked_from - 1)
            state.feed.sequenced(number)

    def _told_time(self, state: SessionState, get: Get, at_ns: int) -> None:
        sent_ns, state.logon_sent_ns = state.logon_sent_ns, None
        venue_ns = unix_ns(get(Tag.SENDING_TIME))
        if sent_ns is not None and venue_ns is not None:
            venue = state.session.venue
            self._clocks.told(venue, LOGON_CLOCK, venue_ns, sent_ns, at_ns, library=self._library)

    def _new(self, session: Session) -> SessionState:
        return SessionState(session, self._feed(session, CHANNEL, is_private=True))

    def _feed(self, session: Session, channel: str, *, is_private: bool) -> Feed:
        return self._feeds.feed(
            session.venue, channel, library=self._library, key=session, is_private=is_private
        )
