"""Outboxes: what the agent itself has to say waits in the spool like everything else, and is counted there.

Each audience has its own, a process folder of the agent: what concerns one service never goes to another
one's back end. Since these are ordinary records, a killed agent loses none of them, and the ledger of the
processes that they are about stays as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from tickspan_spool.entries import StreamKey
from tickspan_spool.sender import Destination

_MOST: Final = 64


class Audience(NamedTuple):
    """For whom a record is: where one service's records go, with its credentials."""

    service_name: str
    destinations: tuple[Destination, ...]


class Recorder(Protocol):
    """Where one stream's records are appended; `spool.Stream` is one."""

    def append(self, record: bytes, items: int = 1) -> None:
        """Record; never raises, never waits."""
        ...


class Box(Protocol):
    """The writing side of one folder; `spool.Spool` is one."""

    def stream(self, key: StreamKey) -> Recorder:
        """The same object for an equal key."""
        ...

    def stop(self, timeout_s: float = 1.0) -> None:
        """Record that the end came in order, and end the box's thread."""
        ...


class Outboxes:
    """Opens a folder for an audience when there is a first record for it. Safe for any thread."""

    def __init__(
        self, open_box: Callable[[Audience], Box], is_viewed: Callable[[], bool] = lambda: False
    ) -> None:
        """`is_viewed`: whether somebody looks on, who sees also what no destination takes."""
        self._open_box = open_box
        self._is_viewed = is_viewed
        self._lock = threading.Lock()
        self._boxes: dict[Audience, Box] = {}
        self._is_closed = False

    def put(self, audience: Audience, stream: StreamKey, body: bytes, items: int = 1) -> bool:
        """Record for this audience; False when nobody takes the signal, or we are closed."""
        is_wanted = any(destination.signal == stream.signal for destination in audience.destinations)
        if not is_wanted and not self._is_viewed():
            return False
        with self._lock:
            box = self._box(audience)
            if box is None:
                return False
            box.stream(stream).append(body, items)
        return True

    def close(self) -> None:
        """End all folders in order; nothing is taken after this."""
        with self._lock:
            self._is_closed = True
            for box in self._boxes.values():
                box.stop()

    def _box(self, audience: Audience) -> Box | None:
        found = self._boxes.get(audience)
        if found is None and not self._is_closed and len(self._boxes) < _MOST:
            found = self._boxes[audience] = self._open_box(audience)
        return None if self._is_closed else found
