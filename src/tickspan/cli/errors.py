"""What a command tells when it cannot go on: one line, and an exit status."""

from __future__ import annotations


class CommandError(Exception):
    """Ends a command with one clear line on stderr. `status` is 2 for bad input or a missing server."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
