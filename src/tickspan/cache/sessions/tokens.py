"""Tokens: what a user holds, and the digest under which a store keeps it."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any, Final

__all__ = ["digest_of", "hidden", "new_token"]

_BYTES: Final = 32
"""256 random bits: nobody guesses one, so that none needs a signature."""
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_token() -> str:
    """A token that was never given out."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: Any) -> bytes | None:
    """SHA-256 of a token; None for what cannot be one, which costs the same however long it is.

    Who reads the store cannot make a token of it. That a text is no token its sender knows: no time is spent
    to hide it.
    """
    if not isinstance(token, str) or _SHAPE.fullmatch(token) is None:
        return None
    return hashlib.sha256(token.encode("ascii")).digest()


def hidden(user_id: str) -> str:
    """The name of a user in names of the store."""
    return hashlib.sha256(user_id.encode()).hexdigest()
