"""W-TinyLFU: newcomers stay if they are used more than whom they displace (Einziger et al., TOS 2017)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies.replacement import Weighed
from tickspan.cache.policies.sketch import Sketch
from tickspan.cache.rules import Policy

__all__ = ["WTinyLfu"]

_WINDOW_SHARE: Final = 100
"""The window holds one in so many."""
_PROTECTED_TENTHS: Final = 8
_UNHEARD: Final = 128
"""How many uses wait for the next insertion; of more than that the oldest are forgotten."""


class WTinyLfu:
    """A window of 1 % by last use, then a segmented LRU, 80 % of it protected, that a sketch admits to.

    Uses are put down by readers and heard at the next insertion.
    """

    __slots__ = ("_heard", "_probation", "_protected", "_sketch", "_window", "policy", "touch")

    def __init__(self, capacity: int) -> None:
        self.policy = Policy.W_TINYLFU
        self._window: OrderedDict[Key, None] = OrderedDict()
        self._probation: OrderedDict[Key, None] = OrderedDict()
        self._protected: OrderedDict[Key, None] = OrderedDict()
        self._sketch = Sketch(capacity)
        self._heard: deque[Key] = deque(maxlen=_UNHEARD)
        self.touch: Callable[[Key], object] | None = self._heard.append

    def __repr__(self) -> str:
        return (
            f"<WTinyLfu {len(self._window)} in the window, {len(self._probation)} on probation,"
            f" {len(self._protected)} protected>"
        )

    def __len__(self) -> int:
        return len(self._window) + len(self._probation) + len(self._protected)

    def __iter__(self) -> Iterator[Key]:
        return iter([*self._probation, *self._window, *self._protected])

    def add(self, key: Key, _item: Weighed) -> None:
        """Into the window; who leaves it while there is room goes on probation."""
        self._hear()
        self._sketch.add(key)
        self._window[key] = None
        while len(self._window) > self._window_size():
            self._probation[self._window.popitem(last=False)[0]] = None

    def replace(self, _key: Key, _item: Weighed) -> None:
        """A write is no use."""

    def remove(self, key: Key) -> None:
        """Out of its segment."""
        for segment in (self._window, self._probation, self._protected):
            if key in segment:
                del segment[key]

    def victim(self) -> Key | None:
        """Of the oldest in the window and the oldest on probation the one that was used less."""
        self._hear()
        main = self._probation or self._protected
        if not main:
            return self._window.popitem(last=False)[0] if self._window else None
        if len(self._window) < self._window_size():
            return main.popitem(last=False)[0]
        candidate, incumbent = next(iter(self._window)), next(iter(main))
        if self._sketch.estimate(candidate) > self._sketch.estimate(incumbent):
            del self._window[candidate]
            del main[incumbent]
            self._probation[candidate] = None
            return incumbent
        del self._window[candidate]
        return candidate

    def _window_size(self) -> int:
        return max(1, len(self) // _WINDOW_SHARE)

    def _hear(self) -> None:
        while self._heard:
            try:
                key = self._heard.popleft()
            except IndexError:  # pragma: no cover - readers only append
                return
            self._sketch.add(key)
            self._used(key)

    def _used(self, key: Key) -> None:
        if key in self._window:
            self._window.move_to_end(key)
        elif key in self._protected:
            self._protected.move_to_end(key)
        elif key in self._probation:
            del self._probation[key]
            self._protected[key] = None
            if 10 * len(self._protected) > _PROTECTED_TENTHS * (len(self) - len(self._window)):
                self._probation[self._protected.popitem(last=False)[0]] = None
