"""Intake: where batches of all receivers come together, one at a time and in one form."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tickspan_spool.receiver import Batch

__all__ = ["Intake", "plain"]

_PROTOBUF: Final = "application/x-protobuf"


def plain(batch: Batch) -> Batch:
    """The same batch with a protobuf body, whatever its sender spoke, and without its sender's headers."""
    is_protobuf = batch.headers.get("content-type", _PROTOBUF).partition(";")[0].strip().lower() == _PROTOBUF
    body = batch.body if is_protobuf else batch.message.SerializeToString()
    return replace(batch, body=body, headers={"content-type": _PROTOBUF})


class Intake:
    """Hands every batch to all takers, in order. For any thread; calls of a taker never overlap."""

    def __init__(self, takers: Sequence[Callable[[Batch], None]]) -> None:
        self._takers = tuple(takers)
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> None:
        """Take a batch; raises what the first taker that fails raises."""
        taken = plain(batch)
        with self._lock:
            for take in self._takers:
                take(taken)
