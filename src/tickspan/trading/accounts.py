"""How accounts are told apart: by a hash of this process for itself, and by another one for the world."""

from __future__ import annotations

import secrets
from typing import Final

from tickspan.trading.privacy import account_hash

MAX_ACCOUNTS: Final = 1_000


class Accounts:
    """Hashes accounts. Their numbers are not kept: what is remembered is found by Python's hash of them."""

    def __init__(self, salt: str | None) -> None:
        self._salt = salt.encode() if salt else None
        # Accounts are told apart also where no salt allows to export their hash.
        self._private_salt = secrets.token_bytes(16)
        self._known: dict[int, tuple[str, str | None]] = {}

    def hashes(self, account: str | None) -> tuple[str | None, str | None]:
        """By which this process knows the account, never exported; and by which the world may."""
        if account is None:
            return None, None
        name = hash(account)
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MAX_ACCOUNTS:
                self._known.clear()
            exported = account_hash(account, self._salt) if self._salt else None
            known = self._known[name] = (account_hash(account, self._private_salt), exported)
        return known
