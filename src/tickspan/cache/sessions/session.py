"""A session as its program holds it, and what can go wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tickspan.cache.sessions.record import Record

__all__ = ["Session", "SessionConflict", "SessionStoreUnavailable"]


class SessionConflict(Exception):  # noqa: N818 - a word of the domain: what an optimistic lock answers
    """The session was changed, replaced or ended since it was read: read it again, and decide anew."""


class SessionStoreUnavailable(Exception):  # noqa: N818 - a state of the store, which passes
    """The store cannot answer now: nobody knows whether there is such a session.

    `reason` is one word without data, such as `timeout`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Session:
    """What is kept of one login. `data` may be changed; `save` of its store writes it.

    Neither the token nor anything of the data shows in its `repr`.
    """

    __slots__ = ("_digest", "_record", "data")

    def __init__(self, digest: bytes, record: Record, data: dict[str, Any]) -> None:
        self._digest = digest
        self._record = record
        self.data = data
        """JSON-like values by name."""

    def __repr__(self) -> str:
        return f"<Session version {self.version}, created {self.created_at:%Y-%m-%d %H:%M:%S} UTC>"

    @property
    def user_id(self) -> str:
        """Whose it is."""
        return self._record.user_id

    @property
    def created_at(self) -> datetime:
        """When the user logged in; a rotation does not change it."""
        return _instant(self._record.created_ms)

    @property
    def expires_at(self) -> datetime:
        """When it ends, however much it is used."""
        return _instant(self._record.ends_ms)

    @property
    def version(self) -> int:
        """How often it was saved, creation included."""
        return self._record.version

    @property
    def is_replaced(self) -> bool:
        """Whether its token was rotated: it can be read for some seconds, and not saved."""
        return self._record.is_replaced


def parts(session: Session) -> tuple[bytes, Record]:
    """Of the store: under which digest a session stands, and its record."""
    return session._digest, session._record  # noqa: SLF001 - the store's half of it


def renew(session: Session, record: Record) -> None:
    """Of the store: the session was written as `record`."""
    session._record = record  # noqa: SLF001 - the store's half of it


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
