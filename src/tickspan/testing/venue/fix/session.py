"""The session layer of one counterparty: numbers, resends, heartbeats, logon and logout. No I/O of its own.

A session outlives its connections: what is sent while nobody is connected gets its number, and is asked for
at the next logon.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from tickspan.testing.venue.fix.tags import MsgType, Tag
from tickspan.testing.venue.fix.wire import Field, Message, encode, unix_ms, utc_timestamp

VENUE: Final = "VENUE"
"""The venue's own CompID."""
_REMEMBERED: Final = 100_000
_TOLERATED_CLOCK_ERROR_MS: Final = 120_000
_PATIENCE: Final = 1.5  # heartbeat intervals of silence before a test request, and again before the end
_ADMIN: Final = frozenset("012345A")


class Line(Protocol):
    """A connection as a session sees it."""

    def write(self, data: bytes) -> None:
        """Send what is given, in order."""
        ...

    def close(self) -> None:
        """Send what is left, then end the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """`wall_ms` is the venue's time of day, `monotonic_s` measures silence."""

    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is refused on the session level."""

    reason: int  # SessionRejectReason
    text: str
    tag: int | None = None


REQUIRED_TAG_MISSING: Final = 1
VALUE_INCORRECT: Final = 5
INCORRECT_FORMAT: Final = 6
COMP_ID_PROBLEM: Final = 9
SENDING_TIME_PROBLEM: Final = 10


@dataclass(frozen=True, slots=True)
class _Sent:
    """An application message that may be asked for again."""

    msg_type: str
    body: tuple[Field, ...]
    sending_time: str


class Session:
    """The rules of FIX 4.4's session layer for one client. Not thread-safe: the venue's loop owns it.

    `check` judges a logon (a text refuses it); `accept` gets each application message once, in order.
    """

    def __init__(
        self,
        client: str,
        clocks: Clocks,
        *,
        check: Callable[[Message], str | None],
        accept: Callable[[Session, Message], None],
    ) -> None:
        self.client = client
        self.next_incoming = 1
        self.next_outgoing = 1
        self._clocks = clocks
        self._check = check
        self._accept = accept
        self._line: Line | None = None
        self._is_logged_on = False
        self._is_logging_out = False
        self._sent: dict[int, _Sent] = {}
        self._heartbeat_s = 0
        self._last_received_s = self._last_sent_s = 0.0
        self._tests = itertools.count(1)
        self._is_tested = False
        self._asked_up_to = 0

    def __repr__(self) -> str:
        state = "logged on" if self._is_logged_on else "connected" if self._line else "away"
        return f"<Session {self.client} {state}, in {self.next_incoming}, out {self.next_outgoing}>"

    @property
    def is_connected(self) -> bool:
        """Whether a connection carries this session."""
        return self._line is not None

    def attach(self, line: Line) -> None:
        """A connection has come whose first message names this session."""
        self._line = line
        self._is_logging_out = self._is_tested = False
        self._last_received_s = self._last_sent_s = self._clocks.monotonic_s()

    def detach(self) -> None:
        """The connection is gone."""
        self._line, self._is_logged_on, self._heartbeat_s = None, False, 0

    def receive(self, message: Message) -> None:
        """One message of the client."""
        self._last_received_s, self._is_tested = self._clocks.monotonic_s(), False
        number = message.whole(Tag.MSG_SEQ_NUM)
        if not self._is_logged_on and message.type != MsgType.LOGON:
            self._end()
        elif number is None:
            self._log_out("Required tag missing: MsgSeqNum (34)")
        elif message.type == MsgType.LOGON:
            self._receive_logon(message, number)
        elif (message.get(Tag.SENDER_COMP_ID), message.get(Tag.TARGET_COMP_ID)) != (self.client, VENUE):
            self.reject(message, Refusal(COMP_ID_PROBLEM, "CompID problem"))
            self._log_out("CompID problem")
        elif message.type == MsgType.SEQUENCE_RESET and not message.is_set(Tag.GAP_FILL_FLAG):
            self._receive_reset(message)
        else:
            self._receive_numbered(message, number)

    def send(
        self, msg_type: str, body: Iterable[Field], *, is_repeated: bool = False, is_kept: bool = True
    ) -> None:
        """An application message: it gets a number at once, and leaves now if the client is logged on.

        `is_repeated` says (PossResend) that its content went out before, under another number. What is not
        kept (market data, which is soon stale) is never sent again: a gap fill takes its place.
        """
        repeated: tuple[Field, ...] = ((Tag.POSS_RESEND, "Y"),) if is_repeated else ()
        sent = _Sent(msg_type, (*repeated, *body), utc_timestamp(self._clocks.wall_ms()))
        number = self._take_number()
        if is_kept:
            self._keep(number, sent)
        if self._is_logged_on:
            self._write(msg_type, number, sent.sending_time, sent.body)

    def reject(self, message: Message, refusal: Refusal) -> None:
        """Refuse a message on the session level (3)."""
        self._send_admin(
            MsgType.REJECT,
            (
                (Tag.REF_SEQ_NUM, message.get(Tag.MSG_SEQ_NUM)),
                (Tag.REF_TAG_ID, refusal.tag),
                (Tag.REF_MSG_TYPE, message.type),
                (Tag.SESSION_REJECT_REASON, refusal.reason),
                (Tag.TEXT, refusal.text),
            ),
        )

    def lose(self, count: int) -> None:
        """Use up `count` numbers for messages that nobody ever gets."""
        self.next_outgoing += count

    def log_out(self, text: str) -> None:
        """Tell the client to go, and why; then the connection ends."""
        if self._is_logged_on:
            self._log_out(text)

    def beat(self) -> None:
        """Called now and then: heartbeats, test requests, and the end of a connection that is silent."""
        if not self._is_logged_on or not self._heartbeat_s:
            return
        now_s = self._clocks.monotonic_s()
        silent_s = now_s - self._last_received_s
        if silent_s > 2 * _PATIENCE * self._heartbeat_s:
            self._end()
            return
        if silent_s > _PATIENCE * self._heartbeat_s and not self._is_tested:
            self._is_tested = True
            self._send_admin(MsgType.TEST_REQUEST, ((Tag.TEST_REQ_ID, f"test{next(self._tests)}"),))
        if now_s - self._last_sent_s >= self._heartbeat_s:
            self._send_admin(MsgType.HEARTBEAT, ())

    def _receive_logon(self, message: Message, number: int) -> None:
        is_reset = message.is_set(Tag.RESET_SEQ_NUM_FLAG)
        if is_reset:
            self.next_incoming = self.next_outgoing = 1
            self._sent.clear()
        if number < self.next_incoming and not message.is_set(Tag.POSS_DUP_FLAG):
            self._log_out(self._too_low(number))
            return
        interval = message.whole(Tag.HEART_BT_INT)
        refusal = "Invalid HeartBtInt (108)" if interval is None else self._check(message)
        if refusal is not None:
            self.next_incoming += number == self.next_incoming
            self._log_out(refusal)
            return
        self._is_logged_on, self._heartbeat_s = True, interval or 0
        self._asked_up_to = 0
        self._send_admin(
            MsgType.LOGON,
            (
                (Tag.ENCRYPT_METHOD, 0),
                (Tag.HEART_BT_INT, self._heartbeat_s),
                (Tag.RESET_SEQ_NUM_FLAG, "Y" if is_reset else None),
            ),
        )
        if number > self.next_incoming:
            self._ask_again(number)
        else:
            self.next_incoming = max(self.next_incoming, number + 1)

    def _receive_numbered(self, message: Message, number: int) -> None:
        if number > self.next_incoming:
            # Both have to be obeyed out of turn, or two sides that both miss something wait for ever.
            if message.type == MsgType.RESEND_REQUEST:
                self._resend(message)
            if message.type == MsgType.LOGOUT:
                self._receive_logout()
            else:
                self._ask_again(number)
        elif number == self.next_incoming:
            self.next_incoming += 1
            self._handle(message)
        elif not message.is_set(Tag.POSS_DUP_FLAG):
            self._log_out(self._too_low(number))

    def _handle(self, message: Message) -> None:
        if message.type not in _ADMIN:
            refusal = self._untimely(message)
            if refusal is None:
                self._accept(self, message)
                return
            self.reject(message, refusal)
            if refusal.reason == SENDING_TIME_PROBLEM:
                self._log_out(refusal.text)
        elif message.type == MsgType.TEST_REQUEST:
            self._send_admin(MsgType.HEARTBEAT, ((Tag.TEST_REQ_ID, message.get(Tag.TEST_REQ_ID)),))
        elif message.type == MsgType.RESEND_REQUEST:
            self._resend(message)
        elif message.type == MsgType.SEQUENCE_RESET:
            self.next_incoming = max(self.next_incoming, message.whole(Tag.NEW_SEQ_NO) or 0)
        elif message.type == MsgType.LOGOUT:
            self._receive_logout()

    def _receive_reset(self, message: Message) -> None:
        """SequenceReset without gap fill, whatever its own number is."""
        new = message.whole(Tag.NEW_SEQ_NO) or 0
        if new > self.next_incoming:
            self.next_incoming = new
        else:
            self.reject(message, Refusal(VALUE_INCORRECT, "Value is incorrect", Tag.NEW_SEQ_NO))

    def _receive_logout(self) -> None:
        if not self._is_logging_out:
            self._send_admin(MsgType.LOGOUT, ())
        self._end()

    def _ask_again(self, number: int) -> None:
        """Ask for what is missing before `number`, once; what came too early comes again with it."""
        if self.next_incoming > self._asked_up_to:
            self._asked_up_to = number
            self._send_admin(
                MsgType.RESEND_REQUEST, ((Tag.BEGIN_SEQ_NO, self.next_incoming), (Tag.END_SEQ_NO, 0))
            )

    def _resend(self, message: Message) -> None:
        """Send what was asked for: application messages again, a gap fill for all between them."""
        begin = message.whole(Tag.BEGIN_SEQ_NO) or 1
        last = self.next_outgoing - 1
        end = min(message.whole(Tag.END_SEQ_NO) or last, last)
        missing_from = begin
        for number in range(begin, end + 1):
            sent = self._sent.get(number)
            if sent is None:
                continue
            self._fill_gap(missing_from, number)
            flags = ((Tag.POSS_DUP_FLAG, "Y"), (Tag.ORIG_SENDING_TIME, sent.sending_time))
            self._write(sent.msg_type, number, self._now_text(), (*flags, *sent.body))
            missing_from = number + 1
        self._fill_gap(missing_from, end + 1)

    def _fill_gap(self, begin: int, end: int) -> None:
        """Tell that nothing is coming for the numbers from `begin` up to, but without, `end`."""
        if begin < end:
            now = self._now_text()
            body: tuple[Field, ...] = (
                (Tag.POSS_DUP_FLAG, "Y"),
                (Tag.ORIG_SENDING_TIME, now),
                (Tag.GAP_FILL_FLAG, "Y"),
                (Tag.NEW_SEQ_NO, end),
            )
            self._write(MsgType.SEQUENCE_RESET, begin, now, body)

    def _untimely(self, message: Message) -> Refusal | None:
        sent_ms = unix_ms(message.get(Tag.SENDING_TIME) or "")
        if sent_ms is None:
            return Refusal(INCORRECT_FORMAT, "Incorrect data format for value", Tag.SENDING_TIME)
        is_repeated = message.is_set(Tag.POSS_DUP_FLAG)
        if not is_repeated and abs(sent_ms - self._clocks.wall_ms()) > _TOLERATED_CLOCK_ERROR_MS:
            return Refusal(SENDING_TIME_PROBLEM, "SendingTime accuracy problem", Tag.SENDING_TIME)
        return None

    def _too_low(self, number: int) -> str:
        return f"MsgSeqNum too low, expecting {self.next_incoming} but received {number}"

    def _log_out(self, text: str) -> None:
        self._is_logging_out = True
        self._send_admin(MsgType.LOGOUT, ((Tag.TEXT, text),))
        self._end()

    def _end(self) -> None:
        line, self._line, self._is_logged_on = self._line, None, False
        if line is not None:
            line.close()

    def _send_admin(self, msg_type: str, body: Iterable[Field]) -> None:
        self._write(msg_type, self._take_number(), self._now_text(), body)

    def _keep(self, number: int, sent: _Sent) -> None:
        self._sent[number] = sent
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def _take_number(self) -> int:
        number, self.next_outgoing = self.next_outgoing, self.next_outgoing + 1
        return number

    def _now_text(self) -> str:
        return utc_timestamp(self._clocks.wall_ms())

    def _write(self, msg_type: str, number: int, sending_time: str, body: Iterable[Field]) -> None:
        if self._line is None:
            return
        self._last_sent_s = self._clocks.monotonic_s()
        header = (
            (Tag.SENDER_COMP_ID, VENUE),
            (Tag.TARGET_COMP_ID, self.client),
            (Tag.MSG_SEQ_NUM, number),
            (Tag.SENDING_TIME, sending_time),
        )
        self._line.write(encode(msg_type, (*header, *body)))
