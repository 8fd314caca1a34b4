"""The commands that many callers may send over one connection, and what to use for the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

__all__ = ["VERBS", "checked"]

VERBS: Final = frozenset(
    """
    APPEND BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS COPY DBSIZE DECR DECRBY DEL DELEX DIGEST DUMP ECHO EVAL
    EVALSHA EVALSHA_RO EVAL_RO EXISTS EXPIRE EXPIREAT EXPIRETIME FCALL FCALL_RO FLUSHDB GEOADD GEODIST GEOHASH
    GEOPOS GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HEXPIRE HEXPIREAT
    HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE
    HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY
    INCRBYFLOAT INFO JSON.ARRAPPEND JSON.ARRINDEX JSON.ARRINSERT JSON.ARRLEN JSON.ARRPOP JSON.ARRTRIM
    JSON.CLEAR JSON.DEL JSON.GET JSON.MERGE JSON.MGET JSON.MSET JSON.NUMINCRBY JSON.NUMMULTBY JSON.OBJKEYS
    JSON.OBJLEN JSON.SET JSON.STRAPPEND JSON.STRLEN JSON.TOGGLE JSON.TYPE LCS LINDEX LINSERT LLEN LMOVE LMPOP
    LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MSET MSETEX MSETNX OBJECT PERSIST PEXPIRE PEXPIREAT
    PEXPIRETIME PFADD PFCOUNT PFMERGE PING PSETEX PTTL PUBLISH RANDOMKEY RENAME RENAMENX RESTORE ROLE RPOP
    RPOPLPUSH RPUSH RPUSHX SADD SCAN SCARD SCRIPT SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER
    SINTERCARD SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SPUBLISH SRANDMEMBER SREM
    SSCAN STRLEN SUNION SUNIONSTORE TIME TOUCH TS.ADD TS.GET TS.MADD TS.MGET TS.MRANGE TS.RANGE TTL TYPE
    UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XINFO XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE XTRIM ZADD
    ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX
    ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX
    ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
    ZUNIONSTORE
    """.split()  # noqa: SIM905 - words read better than quoted words
)
"""Each is answered at once by one reply, and leaves the connection as it was."""

_ONE_AT_A_TIME: Final = (
    "it waits on the server, and everybody behind it: use a redis.asyncio client of its own"
)
_MAY_BLOCK: Final = frozenset({"XREAD", "XREADGROUP"})
_TRANSACTION: Final = "callers share the connection: use a script, or a pipeline of a redis.asyncio client"
_OF_THE_CONNECTION: Final = "it changes the connection for everybody: say it in the URL or the settings"
_PUSHES: Final = "its messages come at any time: use redis.asyncio's pubsub()"
_INSTEAD: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            *("BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN"),
            *("DEBUG", "MIGRATE", "WAIT", "WAITAOF"),
        ),
        _ONE_AT_A_TIME,
    ),
    **dict.fromkeys(("DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"), _TRANSACTION),
    **dict.fromkeys(
        ("ASKING", "AUTH", "CLIENT", "HELLO", "QUIT", "READONLY", "READWRITE", "RESET", "SELECT"),
        _OF_THE_CONNECTION,
    ),
    **dict.fromkeys(
        (
            *("MONITOR", "PSUBSCRIBE", "PSYNC", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE"),
            *("SYNC", "UNSUBSCRIBE"),
        ),
        _PUSHES,
    ),
    "KEYS": "it stops the server while it walks all keys: use SCAN",
}


def checked(verb: Any, arguments: Sequence[Any]) -> str:
    """The verb as the server knows it.

    Raises:
        ValueError: many callers cannot share a connection for it; the message says what to use instead.
    """
    text = verb.decode("latin-1") if isinstance(verb, bytes) else str(verb)
    name = text.upper()
    if name not in VERBS:
        known = _INSTEAD.get(name.partition(" ")[0])
        if known is None:
            raise ValueError(
                "mux: expected one of its verbs, without its arguments; use a redis.asyncio client for others"
            )
        raise ValueError(f"mux: not {name.partition(' ')[0]}: {known}")
    if name in _MAY_BLOCK and _asks_to_block(arguments):
        raise ValueError(f"mux: not {name} with BLOCK: {_ONE_AT_A_TIME}")
    return name


def _asks_to_block(arguments: Sequence[Any]) -> bool:
    # What follows STREAMS are keys, and a key may be called BLOCK.
    for argument in arguments:
        word = argument.decode("latin-1") if isinstance(argument, bytes) else str(argument)
        if word.upper() in {"BLOCK", "STREAMS"}:
            return word.upper() == "BLOCK"
    return False
