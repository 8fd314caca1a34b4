"""What is kept where statements and messages stand: of SQL no literal, of Redis verbs, of FIX known tags.

For whatever instrumentation wrote them: what ours has made literal-free is recognised, the rest is read
again.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tickspan.instrumentation.commands import COMMANDS, CUT, OTHER, command_of
from tickspan.recording.keys import register_cleaner
from tickspan.semconv.foreign import STATEMENTS

if TYPE_CHECKING:
    from tickspan.analysis.sql import Statement, StatementCache

MAX_STATEMENT: Final = 16 * 1024
MAX_LINES: Final = 64
"""Lines of a Redis pipeline that are told."""
MAX_VOUCHED: Final = 4096

VOUCHED: Final[dict[str, None]] = {}
"""Statement texts that were made literal-free here, with the rules of their dialect."""

READ: Final[dict[str, Statement]] = {}
"""What was read of late, by the text that was kept of it: the kept text no longer tells what it held."""

_ALSO_SQL: Final = frozenset({"COPY", "DISCARD", "EXEC", "MOVE", "RESET", "SELECT", "SET"})
"""Verbs of Redis that begin a statement of SQL too."""
_SQL_SETS: Final = frozenset(
    {
        "CHARACTER",
        "CONSTRAINTS",
        "GLOBAL",
        "IDENTITY_INSERT",
        "LOCAL",
        "NAMES",
        "PASSWORD",
        "ROLE",
        "SCHEMA",
        "SEARCH_PATH",
        "SESSION",
        "TIME",
        "TRANSACTION",
        "XACT_ABORT",
    }
)
_TOLD: Final = frozenset({"?", CUT})


def vouch(text: str) -> None:
    """Say that `text` holds no literal, which the rules of its own dialect made sure of."""
    if len(VOUCHED) >= MAX_VOUCHED:
        VOUCHED.clear()
    VOUCHED[text] = None


def statement_without_data(text: str) -> str:
    """A statement as it may be recorded: literals and parameters are `?`.

    The dialect is not known here: what may be a literal in any of them is taken for one. A Redis command
    keeps its verb and one `?` per argument. Never what the caller wrote if it cannot be read.
    """
    if text in VOUCHED:
        return text
    text = text[:MAX_STATEMENT]
    if _is_redis(text):
        lines = text.split("\n", MAX_LINES)
        told = [_command_without_data(line) for line in lines[:MAX_LINES]]
        return "\n".join([*told, CUT] if len(lines) > MAX_LINES else told)
    statement = _statements().get(text)
    if len(READ) >= MAX_VOUCHED:
        READ.clear()
    READ[statement.text] = statement
    return statement.text


def _is_redis(text: str) -> bool:
    words = text.split(maxsplit=3)
    verb = words[0].upper() if words else ""
    if verb in {OTHER, CUT}:
        return True
    if verb not in COMMANDS:
        return False
    if verb == "SET" and len(words) > len(("SET", "key")):
        return not (words[1].upper() in _SQL_SETS or "=" in text or words[2].upper() == "TO")
    return verb not in _ALSO_SQL


def _command_without_data(line: str) -> str:
    words = line.split()
    if not words or words == [CUT]:
        return line.strip()
    command = command_of(words)
    verb_words = len(command.verb.split())
    if _TOLD.issuperset(words[verb_words:]) and command.verb == " ".join(words[:verb_words]):
        return line if command.text is not None else command.verb
    return command.text or command.verb


@functools.cache
def _statements() -> StatementCache:
    """Read when the first statement comes: most processes have instrumentation that reads its own."""
    from tickspan.analysis.sql import Dialect, StatementCache

    return StatementCache(Dialect.GENERIC, max_entries=2_000, max_bytes=2 << 20)


FIX_TAGS: Final = frozenset(
    {
        *(6, 8, 9, 10, 11, 14, 15, 17, 20, 22, 31, 32, 34, 35, 36, 37, 38, 39, 40, 41, 43, 44, 45, 48, 49),
        *(50, 52, 54, 55, 56, 57, 58, 59, 60, 97, 98, 99, 100, 102, 103, 108, 112, 122, 123, 126, 141, 150),
        *(151, 167, 200, 202, 207, 262, 263, 264, 265, 268, 269, 270, 271, 279, 320, 322, 336, 371, 372, 373),
        *(378, 380, 382, 423, 434, 461, 528, 583, 625, 789, 851, 880, 1003, 1128, 1137),
    }
)
"""Tags of orders, executions, market data and sessions whose values name no one and open nothing."""
FIX_NEVER: Final = frozenset({89, 91, 96, 553, 554, 925, 1402, 1404})
"""Signature, secure data, raw data, user name, passwords: not even if they are allowed."""
FIX_ACCOUNT: Final = 1
_FIX_DATA: Final = {
    90: 91,
    93: 89,
    95: 96,
    212: 213,
    348: 349,
    350: 351,
    352: 353,
    354: 355,
    356: 357,
    358: 359,
    360: 361,
    362: 363,
    364: 365,
    445: 446,
    618: 619,
    621: 622,
    1184: 1185,
    1401: 1402,
    1403: 1404,
}
"""Tag of a length to the tag whose value has it; such a value may hold the separator."""
_FIX_DATA_TAGS: Final = frozenset(_FIX_DATA.values())
_MAX_DIGITS: Final = 8
_SOH: Final = b"\x01"
MAX_FIX: Final = 4096
"""Bytes of a message that are looked at."""


def fix_without_data(message: bytes, *, allowed: frozenset[int] = FIX_TAGS, separator: bytes = _SOH) -> str:
    """A FIX message with the values of allowed tags, `tag=?` for all others, `|` between the fields.

    What does not read as `tag=value` ends the reading: behind it, no field can be told from data.
    """
    told: list[str] = []
    position, end_of_all = 0, min(len(message), MAX_FIX)
    announced: tuple[int, int] | None = None
    while position < end_of_all:
        equals = message.find(b"=", position, position + 12)
        if equals < 0 or not message[position:equals].isdigit():
            return "|".join([*told, CUT])
        tag = int(message[position:equals])
        end = _end_of_value(message, tag, equals + 1, announced, separator)
        if not 0 <= end <= end_of_all:
            return "|".join([*told, f"{tag}=?", CUT])
        value = message[equals + 1 : end]
        told.append(f"{tag}={_fix_value(tag, value, allowed)}")
        announced = _announced(tag, value)
        position = end + 1
    return "|".join(told)


def _end_of_value(
    message: bytes, tag: int, start: int, announced: tuple[int, int] | None, separator: bytes
) -> int:
    """Where the field's value ends; -1 where that cannot be told, such as of data without its length."""
    if announced is not None and announced[0] == tag:
        end = start + announced[1]
        return end if message[end : end + 1] == separator else -1
    return -1 if tag in _FIX_DATA_TAGS else message.find(separator, start)


def _announced(tag: int, value: bytes) -> tuple[int, int] | None:
    """The tag of data that comes next, and its length."""
    if tag not in _FIX_DATA or not value.isdigit() or len(value) > _MAX_DIGITS:
        return None
    return _FIX_DATA[tag], int(value)


def _fix_value(tag: int, value: bytes, allowed: frozenset[int]) -> str:
    if tag in FIX_NEVER or tag not in allowed:
        return "?"
    return value.decode("ascii", "replace")


def register() -> None:
    """Let statements that anyone records pass through here."""
    for key in STATEMENTS:
        register_cleaner(key, statement_without_data)


# Not left to whoever starts: without it every statement text is `[redacted]`.
register()
