"""The rules of sessions as routines, which ask a store step by step and wait for nothing.

Order matters where a step may be the last one: a digest stands in its user's index before there is a record,
and a rotated session exists before the old one is marked. What is left behind leads nowhere and is repaired.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from tickspan.cache.sessions.record import (
    Record,
    Unpacked,
    head_of,
    packed,
    packed_data,
    unpacked,
    unpacked_data,
)
from tickspan.cache.sessions.requests import (
    Extend,
    Fetch,
    Fetched,
    Forget,
    Insert,
    List,
    Listed,
    Note,
    Remove,
    Replace,
    Routine,
)
from tickspan.cache.sessions.session import Session, SessionConflict, parts, renew
from tickspan.cache.sessions.tokens import digest_of, hidden

__all__ = ["GRACE_S", "Rules"]

GRACE_S: Final = 5.0
"""How long a rotated token can still be read with: for requests that were on their way."""
_RENEW_FROM: Final = 0.1
"""Share of the idle time that passes before it is begun anew: not each read is a write."""
_UNBORN_MS: Final = 60_000
"""How long an index may lead to a record that is not there yet, clocks of several hosts included."""
_USER_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Rules:
    """How long sessions live, and how many a user may have.

    Raises:
        ValueError: a number is out of its range, or the idle time is longer than the absolute one.
    """

    idle_ttl_s: float
    absolute_ttl_s: float
    max_per_user: int | None
    now_ms: Callable[[], int]
    token: Callable[[], str]

    def __post_init__(self) -> None:
        for name in ("idle_ttl_s", "absolute_ttl_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.001):  # noqa: PLR2004 - stores count milliseconds
                raise ValueError(f"{name}: expected a number of seconds above 0, got {value!r}")
        if self.idle_ttl_s > self.absolute_ttl_s:
            raise ValueError(
                f"idle_ttl_s: expected at most absolute_ttl_s ({self.absolute_ttl_s:g}), "
                f"got {self.idle_ttl_s:g}"
            )
        if self.max_per_user is not None and self.max_per_user < 1:
            raise ValueError(f"max_per_user: expected 1 or more, or None, got {self.max_per_user}")

    def create(self, user_id: str, data: Any) -> Routine[tuple[str, Session]]:
        """A new session of a user; over his limit his oldest ones end."""
        _check_user(user_id)
        held = packed_data({} if data is None else data)
        now_ms = self.now_ms()
        record = Record(user_id, now_ms, now_ms + self._absolute_ms)
        token, digest = yield from self._begun(record, held, now_ms)
        if self.max_per_user is not None:
            yield from self._trimmed(user_id, self.max_per_user, digest)
        return token, Session(digest, record, cast("dict[str, Any]", unpacked_data(held)))

    def get(self, token: Any) -> Routine[Session | None]:
        """The session of a token; None if there is none."""
        digest = digest_of(token)
        if digest is None:
            return None
        found = yield from self._found(digest)
        if found is None:
            return None
        fetched, known = found
        session = _session(known)
        if session is not None and not known.record.is_replaced:
            ttl_ms = self._idle_of(known.record)
            if fetched.left_ms < ttl_ms - _RENEW_FROM * self._idle_ms:
                yield Extend(digest, ttl_ms)
        return session

    def save(self, session: Session) -> Routine[None]:
        """Write a session's data, if nobody else has since it was read; that is a use of it."""
        digest, record = parts(session)
        held = packed_data(session.data)
        if record.is_replaced:
            raise SessionConflict("its token was rotated")
        ttl_ms = self._idle_of(record)
        written = record.next()
        is_written = ttl_ms > 0 and (
            yield Replace(digest, head_of(record), packed(written, digest, held), ttl_ms)
        )
        if not is_written:
            raise SessionConflict("it was changed or has ended since it was read")
        renew(session, written)

    def rotate(self, token: Any) -> Routine[tuple[str, Session] | None]:
        """The same session under a new token; the old one can be read with for some seconds."""
        digest = digest_of(token)
        found = None if digest is None else (yield from self._found(digest))
        if digest is None or found is None:
            return None
        _, old = found
        if old.record.is_replaced:
            raise SessionConflict("its token was rotated")
        renewed = old.record.next(twin=digest)
        new_token, new_digest = yield from self._begun(renewed, old.data, self.now_ms())
        replaced = old.record.next(is_replaced=True, twin=new_digest)
        ttl_ms = min(int(GRACE_S * 1000), max(1, old.record.ends_ms - self.now_ms()))
        is_marked = yield Replace(digest, head_of(old.record), packed(replaced, digest, old.data), ttl_ms)
        if not is_marked:
            yield Remove((new_digest,))
            raise SessionConflict("it was changed or has ended since it was read")
        session = _session(Unpacked(renewed, new_digest, old.data))
        return None if session is None else (new_token, session)

    def revoke(self, what: Any) -> Routine[bool]:
        """End the session of a token, or one that was read; under the token before or after it too."""
        digest = parts(what)[0] if isinstance(what, Session) else digest_of(what)
        found = None if digest is None else (yield from self._found(digest))
        if digest is None or found is None:
            return False
        record = found[1].record
        ended = tuple(known for known in (digest, record.twin) if known is not None)
        removed = cast("int", (yield Remove(ended)))
        yield Forget(hidden(record.user_id), ended)
        return removed > 0

    def revoke_user(self, user_id: str) -> Routine[int]:
        """End all sessions of a user; how many there were."""
        _check_user(user_id)
        live = yield from self._live(user_id)
        listed = yield from self._listed(user_id)
        digests = tuple(one.digest for one in listed)
        if digests:
            yield Remove(digests)
            yield Forget(hidden(user_id), digests)
        return len(live)

    def list_user(self, user_id: str) -> Routine[list[Session]]:
        """The sessions of a user, the oldest first; reading them so is no use of them."""
        _check_user(user_id)
        live = yield from self._live(user_id)
        sessions = [_session(one) for one in live]
        return [session for session in sessions if session is not None]

    @property
    def _idle_ms(self) -> int:
        return int(self.idle_ttl_s * 1000)

    @property
    def _absolute_ms(self) -> int:
        return int(self.absolute_ttl_s * 1000)

    def _idle_of(self, record: Record) -> int:
        """How long a record is to be kept that is used now; 0 or less: it is over."""
        return min(self._idle_ms, record.ends_ms - self.now_ms())

    def _begun(self, record: Record, data: bytes, now_ms: int) -> Routine[tuple[str, bytes]]:
        token = self.token()
        digest = cast("bytes", digest_of(token))
        yield Note(hidden(record.user_id), digest, now_ms, self._absolute_ms + _UNBORN_MS)
        yield Insert(digest, packed(record, digest, data), max(1, self._idle_of(record)))
        return token, digest

    def _found(self, digest: bytes) -> Routine[tuple[Fetched, Unpacked] | None]:
        (fetched,) = cast("tuple[Fetched | None]", (yield Fetch((digest,))))
        known = self._readable(digest, fetched)
        return None if fetched is None or known is None else (fetched, known)

    def _readable(self, digest: bytes, fetched: Fetched | None) -> Unpacked | None:
        """A record that is one, is this session's, and is not over by the absolute time."""
        known = None if fetched is None else unpacked(fetched.raw)
        if known is None or not hmac.compare_digest(known.digest, digest):
            return None
        return known if self.now_ms() < known.record.ends_ms else None

    def _listed(self, user_id: str) -> Routine[tuple[Listed, ...]]:
        return cast("tuple[Listed, ...]", (yield List(hidden(user_id))))

    def _live(self, user_id: str) -> Routine[list[Unpacked]]:
        """Sessions of a user, the oldest first; what the index says of others is taken out of it."""
        listed = yield from self._listed(user_id)
        if not listed:
            return []
        digests = tuple(one.digest for one in listed)
        fetched = cast("tuple[Fetched | None, ...]", (yield Fetch(digests)))
        read = {digest: self._readable(digest, one) for digest, one in zip(digests, fetched, strict=True)}
        born_before_ms = self.now_ms() - _UNBORN_MS
        gone = tuple(
            one.digest for one in listed if read[one.digest] is None and one.noted_ms < born_before_ms
        )
        if gone:
            yield Forget(hidden(user_id), gone)
        live = [
            known
            for known in read.values()
            if known is not None and known.record.user_id == user_id and not known.record.is_replaced
        ]
        return sorted(live, key=lambda known: (known.record.created_ms, known.digest))

    def _trimmed(self, user_id: str, most: int, newest: bytes) -> Routine[None]:
        """End the oldest over `most`, but not the one that has just begun."""
        live = yield from self._live(user_id)
        surplus = len(live) - most
        if surplus > 0:
            others = [known.digest for known in live if known.digest != newest]
            ended = tuple(others[:surplus])
            yield Remove(ended)
            yield Forget(hidden(user_id), ended)


def _session(known: Unpacked) -> Session | None:
    data = unpacked_data(known.data)
    return None if data is None else Session(known.digest, known.record, data)


def _check_user(user_id: Any) -> None:
    if not isinstance(user_id, str):
        raise TypeError(f"user_id: expected a str, got {type(user_id).__name__}")
    if not 0 < len(user_id.encode("utf-8", "surrogatepass")) <= _USER_BYTES:
        raise ValueError(f"user_id: expected 1 to {_USER_BYTES} bytes")
