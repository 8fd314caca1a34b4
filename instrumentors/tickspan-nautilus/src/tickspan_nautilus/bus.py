"""What of ours hangs on one kernel's message bus, and how it comes off again.

The engines are extension types, which take no wrappers; but everything they are told goes through the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Handler = Callable[[Any], None]
Make = Callable[[Handler], Handler]

FIRST: Final = 1_000_000
"""Priority of our subscriptions: whoever else hears of a message, we have heard of it."""


class Wire:
    """Wrapped endpoints and subscriptions. It holds no bus: the bus holds the kernel, which may go.

    A handler must have a `repr` that never changes, for the bus hashes it: functions have, methods only if
    their objects have.
    """

    def __init__(self) -> None:
        self._endpoints: list[tuple[str, Handler, Handler]] = []
        self._topics: list[tuple[str, Handler]] = []

    def __repr__(self) -> str:
        return f"<Wire {len(self._endpoints)} endpoints, {len(self._topics)} topics>"

    def around(self, bus: Any, endpoint: str, original: Handler, make: Make) -> None:
        """Put `make(original)` where `original` is registered, or another of ours around it.

        Somebody else's handler stays where it is.
        """
        there = next((ours for name, _, ours in reversed(self._endpoints) if name == endpoint), original)
        ours = make(there)
        if _exchanged(bus, endpoint, there, ours):
            self._endpoints.append((endpoint, there, ours))

    def listen(self, bus: Any, topic: str, handler: Handler) -> None:
        """Hear of every message of `topic` before all others."""
        bus.subscribe(topic, handler, FIRST)
        self._topics.append((topic, handler))

    def cut(self, bus: Any) -> None:
        """Put the originals back; what the bus has dropped meanwhile, or given to somebody else, stays so."""
        while self._endpoints:
            endpoint, original, ours = self._endpoints.pop()
            _exchanged(bus, endpoint, ours, original)
        while self._topics:
            topic, handler = self._topics.pop()
            if bus.is_subscribed(topic, handler):
                bus.unsubscribe(topic, handler)


def _exchanged(bus: Any, endpoint: str, there: Handler, instead: Handler) -> bool:
    """Whether `there` was registered, and `instead` is now."""
    if endpoint not in bus.endpoints():
        return False
    try:
        bus.deregister(endpoint, there)
    except ValueError:  # another handler is registered
        return False
    bus.register(endpoint, instead)
    return True
