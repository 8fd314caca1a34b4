"""Stock: the segments that a tape will need, and memory for what no disk takes. The tape's lock guards it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .fork import fork
from .home import Home, HomePlan, Segment
from .layout import (
    ALL_SIGNALS,
    PAGE_BYTES,
    REASON_ROOM,
    SEGMENT_HEADER_BYTES,
    WORD_DROPS,
    WORD_ENDED,
    WORD_HANDED,
    WORD_PENDING,
    WORD_RINGED,
)
from .reasons import REASONS
from .ring import Kept, Ring

if TYPE_CHECKING:
    from .segment import Stream, Tape

LOGGER: Final = logging.getLogger("tickspan_spool")
LOGGER.addHandler(logging.NullHandler())
_TAIL_BYTES: Final = 128


def empty_page() -> memoryview:
    """A page in memory, for as long as there is no folder to hold it."""
    return memoryview(bytearray(PAGE_BYTES)).cast("Q")


class Stock:
    """What `segment.Supply` asks for.

    Args:
        plan: for the folder.
        ring_records: bound of the memory.
        wake: makes the keeper look; called under the tape's lock, must not wait.
    """

    tape: Tape
    """Set by whoever makes both."""

    def __init__(self, plan: HomePlan, ring_records: int, wake: Callable[[], None]) -> None:
        self._plan = plan
        self._ring_records = ring_records
        self._wake = wake
        self.room = plan.segment_bytes - SEGMENT_HEADER_BYTES - _TAIL_BYTES
        self.faults = 0
        self.reset()

    def reset(self) -> None:
        """Nothing in stock, nothing touched."""
        self.page = empty_page()
        self.home: Home | None = None
        self.ready: Home | None = None
        """A folder that was made ahead, for the first record to find."""
        self.spares: deque[Segment] = deque()
        """At most one; the keeper adds it without a lock, so that nobody who records has to park."""
        self._last_number = 0
        self.ring = Ring(self._ring_records)
        self.retired: list[Callable[[], None]] = []
        """What the keeper has to do with segments that are written no more."""
        self.refusal: OSError | None = None
        self.earlier_ended = [0] * len(ALL_SIGNALS)
        self.earlier_drops = [[0] * len(REASONS) for _ in ALL_SIGNALS]

    def take(self) -> Segment | None:
        """The next segment, prepared ahead or made now; None when the disk refuses."""
        following = self._prepared() or self._made()
        if following is not None:
            self._last_number = following.number
        if following is not None or not self.tape.is_ring:  # the keeper itself comes here from the ring
            self._wake()
        return following

    def _prepared(self) -> Segment | None:
        while self.spares:
            spare = self.spares.popleft()
            if spare.number > self._last_number:
                return spare
            self.retired.append(spare.discard)  # it came too late: a later one was made meanwhile
        return None

    def _made(self) -> Segment | None:
        try:
            if self.home is None:
                ready, self.ready = self.ready, None
                self._settle_in(ready or Home(self._plan))
                assert self.home is not None
                return self.home.first
            return self.home.segment()
        except OSError as error:
            self.refusal = error
            return None

    def make_ready(self) -> None:
        """Make the folder now; where the disk refuses, the first record will say so."""
        if self.home is None and self.ready is None:
            with suppress(OSError):
                self.ready = Home(self._plan)

    def _settle_in(self, home: Home) -> None:
        """Go on counting in the new folder's page."""
        page = home.page
        for word in (WORD_ENDED, WORD_RINGED, WORD_HANDED):
            page[word : word + len(ALL_SIGNALS)] = self.page[word : word + len(ALL_SIGNALS)]
        drops = slice(WORD_DROPS, WORD_DROPS + REASON_ROOM * len(ALL_SIGNALS))
        page[drops] = self.page[drops]
        page[WORD_PENDING] = self.page[WORD_PENDING]
        self.home = home
        self._count_in(page)

    def _count_in(self, page: memoryview) -> None:
        self.page = page
        self.tape.use_page(page)

    def lose_home(self) -> None:
        """Somebody removed the folder: begin a new account, with what is in memory. Under the tape's lock."""
        old, new = self.page, empty_page()
        for code in range(len(ALL_SIGNALS)):
            ringed = old[WORD_RINGED + code]
            new[WORD_RINGED + code] = new[WORD_ENDED + code] = ringed
            self.earlier_ended[code] += old[WORD_ENDED + code] - ringed
            for reason in range(len(REASONS)):
                self.earlier_drops[code][reason] += old[WORD_DROPS + code * REASON_ROOM + reason]
        if self.home is not None:
            self.home.leave()
        while self.spares:
            self.retired.append(self.spares.popleft().discard)
        self.home = None
        self._last_number = 0
        self._count_in(new)

    def retire(self, segment: Segment) -> None:
        """This one is full; the keeper unmaps it."""
        self.retired.append(segment.close)

    def keep(self, stream: Stream, kind: int, record: bytes, items: int) -> list[tuple[int, int]]:
        """Keep a record in memory; which others (signal, items) had to go for it."""
        gone = self.ring.keep(Kept(stream, kind, record, items))
        return [(kept.stream.signal_code, kept.items) for kept in gone]

    def wake(self) -> None:
        """Make the keeper look."""
        self._wake()

    def renew(self) -> None:
        """The process is a fork that no hook of Python's told of."""
        fork().begin_again()

    def fault(self) -> None:
        """Count what should not have happened; say it once."""
        self.faults += 1
        if self.faults == 1:
            LOGGER.error(
                "a record could not be taken; this is a fault of tickspan, the next ones are counted",
                exc_info=True,  # noqa: LOG014 - the guards call this from their handlers
            )
