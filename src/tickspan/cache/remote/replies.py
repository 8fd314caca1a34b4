"""What a server's error and a broken connection mean: exceptions of redis-py, and one word for the cache."""

from __future__ import annotations

from typing import Any, Final

from tickspan.cache.remote.libraries import errors

__all__ = [
    "MuxOverloadedError",
    "NoConnectionFreeError",
    "again",
    "counts_as_outage",
    "is_about_us",
    "reason_of",
    "reply_error",
]

_CLASSES: Final[dict[str, type[errors.RedisError]]] = {
    "ASK": errors.AskError,
    "CLUSTERDOWN": errors.ClusterDownError,
    "CROSSSLOT": errors.ClusterCrossSlotError,
    "EXECABORT": errors.ExecAbortError,
    "LOADING": errors.BusyLoadingError,
    "MASTERDOWN": errors.MasterDownError,
    "MOVED": errors.MovedError,
    "NOAUTH": errors.AuthenticationError,
    "NOPERM": errors.NoPermissionError,
    "NOSCRIPT": errors.NoScriptError,
    "OOM": errors.OutOfMemoryError,
    "READONLY": errors.ReadOnlyError,
    "TRYAGAIN": errors.TryAgainError,
    "WRONGPASS": errors.AuthenticationError,
}
_FULL: Final = "max number of clients reached"
_OUTAGES: Final = (
    errors.ConnectionError,
    errors.TimeoutError,
    errors.ReadOnlyError,
    errors.ClusterDownError,
    errors.InvalidResponse,
    OSError,
)
"""After these the server as a whole cannot be counted on, whatever the command was."""


class MuxOverloadedError(errors.ConnectionError):
    """Too many commands of this event loop wait for a reply; this one was not sent."""


class NoConnectionFreeError(errors.ConnectionError):
    """Blocking callers have all the connections that there may be."""


def reply_error(text: str) -> errors.RedisError:
    """A server's error as redis-py has it: its class by the first word, which is then taken off the text."""
    code, _, rest = text.partition(" ")
    if code == "ERR" and rest == _FULL:
        return errors.ConnectionError(rest)
    kind = _CLASSES.get(code)
    if kind is None:
        return errors.ResponseError(text.removeprefix("ERR "))
    if kind in {errors.AskError, errors.MovedError}:
        return kind(rest)
    error = kind(rest)
    vars(error)["status_code"] = code
    return error


def counts_as_outage(error: BaseException) -> bool:
    """Whether an error speaks of the server rather than of the command or of ourselves.

    So does what is none of redis-py's: a credential provider's, say, without which there is no connection.
    """
    if isinstance(error, MuxOverloadedError | NoConnectionFreeError | errors.AuthorizationError):
        return False
    return isinstance(error, _OUTAGES) or not isinstance(error, errors.RedisError)


def is_about_us(error: errors.ResponseError) -> bool:
    """Whether a server that refuses a new connection means its user.

    Else it is of no use, as one without the database that is asked for.
    """
    return type(error) is not errors.ResponseError


def reason_of(error: BaseException) -> str:
    """One word for an error, without data."""
    for kind, word in _REASONS:
        if isinstance(error, kind):
            return word
    return "error"


def again(error: BaseException) -> errors.RedisError:
    """An error like `error` for a caller of its own: each has its own traceback."""
    if isinstance(error, errors.RedisError):
        copied: Any = error.__class__.__new__(error.__class__, *error.args)
        copied.args = error.args
        vars(copied).update(vars(error))
        copied.__cause__ = error.__cause__
        return copied
    kind = errors.TimeoutError if isinstance(error, TimeoutError) else errors.ConnectionError
    copied = kind(f"{type(error).__name__} while talking to Redis")
    copied.__cause__ = error
    return copied


_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (MuxOverloadedError, "overloaded"),
    (NoConnectionFreeError, "no_connection_free"),
    (errors.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (errors.AuthenticationError, "authentication"),
    (errors.BusyLoadingError, "loading"),
    (errors.ConnectionError, "connection"),
    (errors.InvalidResponse, "connection"),
    (OSError, "connection"),
    (errors.OutOfMemoryError, "out_of_memory"),
    (errors.ReadOnlyError, "read_only"),
    (errors.NoPermissionError, "no_permission"),
    (errors.ClusterDownError, "cluster_down"),
)
