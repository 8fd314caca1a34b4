"""Sessions: hashed ids, sliding and absolute expiry, optimistic concurrency, an index for each user."""

from __future__ import annotations

from tickspan.cache.sessions.session import Session, SessionConflict, SessionStoreUnavailable
from tickspan.cache.sessions.store import SessionStore, SyncSessionStore

__all__ = ["Session", "SessionConflict", "SessionStore", "SessionStoreUnavailable", "SyncSessionStore"]
