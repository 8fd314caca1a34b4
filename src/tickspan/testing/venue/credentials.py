"""Who the account's owner is, in every dialect: a key and a secret."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """The account's key and secret."""

    api_key: str
    secret: str

    def sign(self, payload: str) -> str:
        """HMAC-SHA256 in lower-case hexadecimal digits."""
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
