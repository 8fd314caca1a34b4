"""What a Redis call is: pure functions from a client and its arguments to an Operation.

Names, not data: of a command its verb and one `?` per argument, and a verb only if it is one of Redis's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tickspan.instrumentation import Attributes, AttributeValue, Operation
from tickspan.instrumentation.commands import CUT, SUBCOMMANDS, Command, command_of, text_of
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import (
    DB_NAMESPACE,
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_TEXT,
    DB_STORED_PROCEDURE_NAME,
    DB_SYSTEM_NAME,
)
from tickspan.semconv.redis import REDIS_CLIENT_OPERATION_BLOCKING, SYSTEM_REDIS

from tickspan_redis.verbs import BLOCKING, BLOCKING_IF_ASKED

MAX_TEXT: Final = 1024
"""Characters of `db.query.text`, the `...` of a cut text included."""

_DEFAULT_PORT: Final = 6379
_SCRIPT_NAMES: Final = {
    "EVALSHA": re.compile(r"[0-9a-fA-F]{40}"),
    "EVALSHA_RO": re.compile(r"[0-9a-fA-F]{40}"),
    "FCALL": re.compile(r"[A-Za-z0-9_]{1,64}"),
    "FCALL_RO": re.compile(r"[A-Za-z0-9_]{1,64}"),
}


def describe_command(client: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Operation | None:
    """`SET key value` becomes an operation `SET` whose text is `SET ? ?`.

    None for a call without a command, which the library refuses.
    """
    del options
    if not args:
        return None
    command = command_of(args)
    attributes = {**where(client), DB_OPERATION_NAME: command.verb, **_script_name(command, args)}
    if command.text is not None:
        attributes[DB_QUERY_TEXT] = command.text
    if is_blocking(command, args):
        attributes[REDIS_CLIENT_OPERATION_BLOCKING] = True
    return Operation(command.verb, attributes, is_leaf=True)


def describe_pipeline(pipeline: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Operation | None:
    """A pipeline is one operation: `PIPELINE` or `MULTI`, plus the verb when all its commands are alike.

    Two commands or more are a batch; a plain pipeline of one is told as that command.
    None for an empty pipeline that watches nothing: the library sends nothing.
    """
    del args, options
    calls = queued(pipeline)
    if not calls and not getattr(pipeline, "watching", False):
        return None
    name = _pipeline_name(calls, is_transaction=_is_transaction(pipeline))
    attributes = {**where(pipeline), DB_OPERATION_NAME: name}
    text = pipeline_text(command_of(call) for call in calls)
    if text:
        attributes[DB_QUERY_TEXT] = text
    if len(calls) > 1:
        attributes[DB_OPERATION_BATCH_SIZE] = len(calls)
    return Operation(name, attributes, is_leaf=True)


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
    return [call for call in _calls(pipeline) if call]


def _calls(pipeline: Any) -> Iterator[Sequence[Any]]:
    strategy = getattr(pipeline, "_execution_strategy", None)
    held = _first_of((strategy, "_command_queue"), (pipeline, "_command_stack"), (pipeline, "command_stack"))
    for command in held or ():
        yield command.args if hasattr(command, "args") else command[0]


def _first_of(*places: tuple[Any, str]) -> Any:
    return next((getattr(owner, name) for owner, name in places if hasattr(owner, name)), None)


def _is_transaction(pipeline: Any) -> bool:
    strategy = type(getattr(pipeline, "_execution_strategy", None)).__name__
    flags = ("explicit_transaction", "is_transaction", "transaction")
    # The methods of a cluster pipeline may carry the same name as the flag of a plain one.
    return strategy == "TransactionStrategy" or any(getattr(pipeline, flag, False) is True for flag in flags)


def where(client: Any) -> dict[str, AttributeValue]:
    """System, database index and server of a client, pipeline or cluster, as it was configured.

    Behind a sentinel the server is not known before the connection is: it is told as the peer then.
    """
    attributes: dict[str, AttributeValue] = {DB_SYSTEM_NAME: SYSTEM_REDIS}
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        return attributes | _configured(pool, getattr(pool, "connection_kwargs", {}))
    owner = _first_of((client, "cluster_client"), (client, "_client")) or client
    nodes = getattr(getattr(owner, "nodes_manager", None), "startup_nodes", {})
    node = next(iter(nodes.values()), None)
    attributes[DB_NAMESPACE] = "0"  # a cluster has no other
    return attributes if node is None else attributes | _server(node.host, node.port)


def _configured(pool: Any, settings: Mapping[str, Any]) -> dict[str, AttributeValue]:
    namespace: dict[str, AttributeValue] = {DB_NAMESPACE: str(settings.get("db") or 0)}
    if "path" in settings:
        return namespace | {SERVER_ADDRESS: str(settings["path"])}
    if hasattr(pool, "service_name"):
        return namespace
    return namespace | _server(settings.get("host", "localhost"), settings.get("port", _DEFAULT_PORT))


def _server(host: Any, port: Any) -> dict[str, AttributeValue]:
    return {SERVER_ADDRESS: str(host), SERVER_PORT: int(port)}
