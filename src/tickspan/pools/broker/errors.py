"""What a broker pool raises."""

from __future__ import annotations


class PoolTimeoutError(TimeoutError):
    """No connection, or no budget, came in time."""


class PoolUnavailableError(ConnectionError):
    """Connecting has failed so often that nobody tries before `retry_after_s` have passed."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PoolClosedError(RuntimeError):
    """The pool is drained: it gives no connection any more."""
