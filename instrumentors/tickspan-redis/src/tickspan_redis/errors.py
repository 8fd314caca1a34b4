"""What an exception of a Redis call means: the server's error code, never its text."""

from __future__ import annotations

import re
from asyncio import CancelledError
from typing import Final

from tickspan.instrumentation import Failure, type_name
from tickspan.semconv.db import DB_RESPONSE_STATUS_CODE

_CODES: Final = {
    "AskError": "ASK",
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "ERR",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "ModuleError": "ERR",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "ResponseError": "ERR",
    "TryAgainError": "TRYAGAIN",
}
"""Classes whose parser has taken the code off the text."""

_CODE: Final = re.compile(r"(?:\(['\"])?([A-Z][A-Z0-9]{1,31})(?= |$)")
_OF_PIPELINE: Final = "of pipeline caused error: "
"""redis-py puts the command, keys and values in front of an error in a pipeline; its asynchronous half also
writes the error as a tuple.
"""

_LOST: Final = "{exception.args}"
"""What asynchronous pipelines of redis-py 6 write instead of the error."""

_TRANSPORT: Final = frozenset({"ConnectionError", "TimeoutError"})


def describe_error(error: BaseException) -> Failure:
    """The reading of `error`, by the names of its classes: the library is not imported for it.

    A `WatchError` is the answer that an optimistic lock gives; only one for a lost connection is an error.
    Texts hold keys and values ("unknown command 'x', with args beginning with…"), so none is kept, but for
    errors of the transport, which name a host and a reason.
    """
    kind = type(error)
    if not _is_redis(kind):
        return Failure(type_name(error), description=None if isinstance(error, OSError) else type_name(error))
    if kind.__name__ == "WatchError" and not _lost_connection(error):
        return Failure(type_name(error), is_error=False)
    code = status_code(error)
    if code is not None:
        return Failure(code, {DB_RESPONSE_STATUS_CODE: code}, description=code)
    return Failure(type_name(error), description=None if kind.__name__ in _TRANSPORT else type_name(error))


def status_code(error: BaseException) -> str | None:
    """The code a server's error began with, such as `WRONGTYPE`; None if no server has answered."""
    kept = getattr(error, "status_code", None)  # by redis-py 7.2 and later, where they have a class for it
    if kept is not None:
        return str(kept)
    name, text = type(error).__name__, str(error.args[0]) if error.args else ""
    answer = text.rpartition(_OF_PIPELINE)[2]
    if answer == _LOST:
        return None
    if name == "AuthenticationError" and answer.startswith("Authentication required"):
        return "NOAUTH"
    told = _CODE.match(answer) if name == "ResponseError" else None
    return _CODES.get(name) if told is None else told[1]


def is_of_transport(error: BaseException) -> bool:
    """Whether a connection is lost with `error`, or a caller was cancelled while it waited for its reply."""
    if isinstance(error, ConnectionError | TimeoutError | CancelledError):
        return True
    return any(_is_redis(kind) and kind.__name__ in _TRANSPORT for kind in type(error).__mro__)


def _is_redis(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "redis"


def _lost_connection(error: BaseException) -> bool:
    return _is_redis(type(error.__context__)) and type(error.__context__).__name__ in _TRANSPORT
