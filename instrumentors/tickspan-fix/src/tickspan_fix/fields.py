"""FIX by its names: the tags that are read, the message types, and values as words, numbers and moments."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

Get = Callable[[int], str | None]
"""The first field of a tag as text; None if the message has none."""

SECRET_TAGS: Final = (1, 553, 554)
"""Account, Username, Password: what they hold is never told, nor where another field repeats it."""


class Tag(IntEnum):
    """A field that is read."""

    AVG_PX = 6
    BEGIN_SEQ_NO = 7
    CL_ORD_ID = 11
    COMMISSION = 12
    COMM_TYPE = 13
    CUM_QTY = 14
    EXEC_ID = 17
    EXEC_TRANS_TYPE = 20
    LAST_PX = 31
    LAST_QTY = 32
    MSG_SEQ_NUM = 34
    MSG_TYPE = 35
    NEW_SEQ_NO = 36
    ORDER_ID = 37
    ORDER_QTY = 38
    ORD_STATUS = 39
    ORD_TYPE = 40
    ORIG_CL_ORD_ID = 41
    POSS_DUP_FLAG = 43
    PRICE = 44
    REF_SEQ_NUM = 45
    SENDER_COMP_ID = 49
    SENDING_TIME = 52
    SIDE = 54
    SYMBOL = 55
    TARGET_COMP_ID = 56
    TEXT = 58
    TIME_IN_FORCE = 59
    TRANSACT_TIME = 60
    LIST_ID = 66
    POSS_RESEND = 97
    STOP_PX = 99
    CXL_REJ_REASON = 102
    ORD_REJ_REASON = 103
    EXEC_TYPE = 150
    SECURITY_TYPE = 167
    NO_MD_ENTRIES = 268
    SESSION_REJECT_REASON = 373
    BUSINESS_REJECT_REF_ID = 379
    BUSINESS_REJECT_REASON = 380
    COMM_CURRENCY = 479
    ORD_STATUS_REQ_ID = 790
    LAST_LIQUIDITY_IND = 851


class MsgType(StrEnum):
    """A message type that means something here."""

    HEARTBEAT = "0"
    TEST_REQUEST = "1"
    RESEND_REQUEST = "2"
    REJECT = "3"
    SEQUENCE_RESET = "4"
    LOGOUT = "5"
    EXECUTION_REPORT = "8"
    ORDER_CANCEL_REJECT = "9"
    LOGON = "A"
    NEW_ORDER = "D"
    CANCEL_REQUEST = "F"
    REPLACE_REQUEST = "G"
    STATUS_REQUEST = "H"
    MARKET_DATA_SNAPSHOT = "W"
    MARKET_DATA_REFRESH = "X"
    NEW_MULTILEG_ORDER = "AB"
    REPLACE_MULTILEG_ORDER = "AC"
    BUSINESS_REJECT = "j"


class Session(NamedTuple):
    """Two CompIDs, as the program's own side sees them."""

    venue: str
    client: str


def text(get: Get, tag: int) -> str | None:
    """A field as text that can be exported, whatever bytes it was made of; None if absent or empty."""
    value = get(tag)
    return value.encode("utf-8", "replace").decode() if value else None


def whole(get: Get, tag: int) -> int | None:
    """A field as a whole number; None if it is none."""
    value = get(tag) or ""
    return int(value) if value.isascii() and value.isdigit() else None


def is_set(get: Get, tag: int) -> bool:
    """Whether a flag is there and says yes."""
    return get(tag) == "Y"


def unix_ns(value: str | None) -> int | None:
    """A UTCTimestamp with up to nine decimals as nanoseconds since 1970; None if it cannot be read."""
    if value is None:
        return None
    second, second_ns = _second[0]
    if value[:_SECOND_LENGTH] != second:
        second = value[:_SECOND_LENGTH]
        known_ns = _second_ns(second)
        if known_ns is None:
            return None
        second_ns = known_ns
        _second[0] = (second, second_ns)  # of a busy session most messages are of the same second
    fraction = value[_SECOND_LENGTH + 1 : _LONGEST]
    if not fraction:
        return second_ns if len(value) == _SECOND_LENGTH else None
    if value[_SECOND_LENGTH] != "." or not fraction.isdigit():
        return None
    return second_ns + int(fraction) * _SCALES[len(fraction)]


def _second_ns(text: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(text, _SECOND)) * 1_000_000_000
    except ValueError:
        return None


_SECOND: Final = "%Y%m%d-%H:%M:%S"
_SECOND_LENGTH: Final = len("20240131-09:30:00")
_LONGEST: Final = len("20240131-09:30:00.123456789")
_SCALES: Final = tuple(10 ** (9 - digits) for digits in range(10))
_second: Final[list[tuple[str, int]]] = [("", 0)]
"""The last second that was read."""
