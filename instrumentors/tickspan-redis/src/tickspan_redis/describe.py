"""What a Redis call is: pure functions from a client and its arguments to an Operation.

Names, not data: of a command its verb and one `?` per argument, and a verb only if it is one of Redis's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from tickspan.instrumentation import Attributes, Operation, positions
from tickspan.instrumentation.commands import COMMANDS, CUT, SUBCOMMANDS, Command, command_of, text_of
from tickspan.semconv.db import (
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_TEXT,
    DB_STORED_PROCEDURE_NAME,
)
from tickspan.semconv.redis import REDIS_CLIENT_OPERATION_BLOCKING

from tickspan_redis.places import Place, place_of
from tickspan_redis.verbs import BLOCKING, BLOCKING_IF_ASKED

_first: Final = itemgetter(0)
MAX_TEXT: Final = 1024
"""Characters of `db.query.text`, the `...` of a cut text included."""
_MOST_SHAPES: Final = 100
"""Commands of a pipeline that is remembered."""

_SCRIPT_NAMES: Final = {
    "EVALSHA": re.compile(r"[0-9a-fA-F]{40}"),
    "EVALSHA_RO": re.compile(r"[0-9a-fA-F]{40}"),
    "FCALL": re.compile(r"[A-Za-z0-9_]{1,64}"),
    "FCALL_RO": re.compile(r"[A-Za-z0-9_]{1,64}"),
}


_PLAIN: Final = COMMANDS - SUBCOMMANDS.keys() - _SCRIPT_NAMES.keys() - BLOCKING_IF_ASKED
"""Verbs whose calls are told alike when they have as many arguments."""


def describe_command(client: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Operation | None:
    """`SET key value` becomes an operation `SET` whose text is `SET ? ?`.

    None for a call without a command, which the library refuses.
    """
    del options
    if not args:
        return None
    first, place = args[0], place_of(client)
    if type(first) is not str or first not in _PLAIN:
        return _described(place, command_of(args), args)
    shape = (first, len(args))
    known = place.operations.get(shape)
    if known is None:
        return place.remember(shape, _described(place, Command(first, len(args) - 1), args))
    return known


def _described(place: Place, command: Command, args: Sequence[Any]) -> Operation:
    attributes = {**place.attributes, DB_OPERATION_NAME: command.verb, **_script_name(command, args)}
    if command.text is not None:
        attributes[DB_QUERY_TEXT] = command.text
    if is_blocking(command, args):
        attributes[REDIS_CLIENT_OPERATION_BLOCKING] = True
    return _vouch(Operation(command.verb, attributes, is_leaf=True))


def _vouch(operation: Operation) -> Operation:
    """Its text holds no data: nobody need read it again for that."""
    text = operation.attributes.get(DB_QUERY_TEXT)
    if text is not None and text not in positions.VOUCHED:
        positions.vouch(str(text))
    return operation


def describe_pipeline(pipeline: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Operation | None:
    """A pipeline is one operation: `PIPELINE` or `MULTI`, plus the verb when all its commands are alike.

    Two commands or more are a batch; a plain pipeline of one is told as that command.
    None for an empty pipeline that watches nothing: the library sends nothing.
    """
    del args, options
    calls = queued(pipeline)
    if not calls and not getattr(pipeline, "watching", False):
        return None
    place, is_transaction = place_of(pipeline), _is_transaction(pipeline)
    if len(calls) > _MOST_SHAPES:
        return _described_pipeline(place, calls, is_transaction=is_transaction)
    shape = (is_transaction, *map(_first, calls), *map(len, calls))
    try:
        known = place.operations.get(shape)
    except TypeError:  # a verb as a bytearray
        return _described_pipeline(place, calls, is_transaction=is_transaction)
    if known is not None:
        return known
    told = _described_pipeline(place, calls, is_transaction=is_transaction)
    # A verb that is none of Redis's may be data, which must not be kept.
    return place.remember(shape, told) if _PLAIN.issuperset(map(_first, calls)) else told


def _described_pipeline(place: Place, calls: Sequence[Sequence[Any]], *, is_transaction: bool) -> Operation:
    name = _pipeline_name(calls, is_transaction=is_transaction)
    attributes = {**place.attributes, DB_OPERATION_NAME: name}
    text = pipeline_text(command_of(call) for call in calls)
    if text:
        attributes[DB_QUERY_TEXT] = text
    if len(calls) > 1:
        attributes[DB_OPERATION_BATCH_SIZE] = len(calls)
    return _vouch(Operation(name, attributes, is_leaf=True))


def is_blocking(command: Command, args: Sequence[Any]) -> bool:
    """Whether the call waits on the server for data to come."""
    if command.verb in BLOCKING:
        return True
    if command.verb not in BLOCKING_IF_ASKED:
        return False
    # What follows STREAMS are keys, and a key may be called BLOCK.
    words = (text_of(arg).upper() for arg in args[1:])
    return next((word for word in words if word in {"BLOCK", "STREAMS"}), None) == "BLOCK"


def is_empty(result: Any) -> bool:
    """Whether a blocking read came back without data: nil, or an empty list or map by protocol and version.

    An empty string is data.
    """
    return result is None or (isinstance(result, list | tuple | dict) and not result)


def _script_name(command: Command, args: Sequence[Any]) -> Attributes:
    """The digest or name of a stored program, if it looks like one."""
    shape = _SCRIPT_NAMES.get(command.verb)
    name = text_of(args[1]) if shape is not None and len(args) > 1 else ""
    return {DB_STORED_PROCEDURE_NAME: name} if shape is not None and shape.fullmatch(name) else {}


def pipeline_text(commands: Iterable[Command]) -> str:
    """The commands' texts, one a line, at most MAX_TEXT characters: whole lines, then `...` for the rest."""
    texts = (command.text or command.verb for command in commands)
    lines: list[str] = []
    room = MAX_TEXT - len(CUT)
    for text in texts:
        room -= len(text) + 1
        if room < 0:
            lines.append(CUT)
            break
        lines.append(text)
    return "\n".join(lines)


def _pipeline_name(calls: Sequence[Sequence[Any]], *, is_transaction: bool) -> str:
    verb = _common_verb(calls)
    if is_transaction:
        return "MULTI" if verb is None else f"MULTI {verb}"
    if len(calls) == 1 and verb is not None:
        return verb
    return "PIPELINE" if verb is None else f"PIPELINE {verb}"


def _common_verb(calls: Sequence[Sequence[Any]]) -> str | None:
    """The verb of all calls; None if they differ, or if there are none."""
    if not calls:
        return None
    first, verb = calls[0][0], command_of(calls[0]).verb
    # redis-py passes one and the same string each time; it tells the verb unless a second word is due.
    known = first if type(first) is str and first not in SUBCOMMANDS else object()
    alike = all(call[0] is known or command_of(call).verb == verb for call in calls)
    return verb if alike else None


def queued(pipeline: Any) -> list[Sequence[Any]]:
    """The arguments of each command in a pipeline, wherever this version and kind of it keeps them."""
    held = getattr(getattr(pipeline, "_execution_strategy", None), "_command_queue", None)
    if held is None:
        held = getattr(pipeline, "_command_stack", None)
    if held is None:
        held = getattr(pipeline, "command_stack", ())
    is_plain = bool(held) and type(held[0]) is tuple
    calls: list[Sequence[Any]] = list(map(_first, held)) if is_plain else [_args_of(each) for each in held]
    return calls if all(calls) else [args for args in calls if args]


def _args_of(command: Any) -> Sequence[Any]:
    return command.args if hasattr(command, "args") else command[0]


def _is_transaction(pipeline: Any) -> bool:
    # The methods of a cluster pipeline may carry the same name as the flag of a plain one.
    return (
        getattr(pipeline, "explicit_transaction", False) is True
        or getattr(pipeline, "is_transaction", False) is True
        or getattr(pipeline, "transaction", False) is True
        or type(getattr(pipeline, "_execution_strategy", None)).__name__ == "TransactionStrategy"
    )
