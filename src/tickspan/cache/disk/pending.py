"""Pending: what the file does not hold yet, and what of the file is not to be believed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from tickspan.cache.envelope import ID
from tickspan.cache.tiers import NOTHING

__all__ = ["GONE", "Batch", "Claimed", "Condition", "Pending", "Row", "Ticket"]

MOST_ROWS: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_MARKS: Final = 10_000
"""How many keys may be marked for removal when there is no room for their values."""

Ticket = Future[Any]
"""Done when what it stands for is in the file."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the file must hold for a row to be stored: this id (`NOTHING`: nothing), no higher version."""

    expected_id: bytes | None = None
    version: bytes | None = None
    """Eight bytes, the highest first."""


class Row:
    """What is to stand under a key; no bytes: nothing is to stand there."""

    __slots__ = ("any_of", "expires_ms", "is_in_flight", "is_tombstone", "raw")

    def __init__(
        self,
        raw: bytes | None,
        expires_ms: int,
        condition: Condition | None = None,
        *,
        is_tombstone: bool = False,
    ) -> None:
        self.raw = raw
        self.expires_ms = expires_ms
        self.any_of: tuple[Condition, ...] = () if condition is None else (condition,)
        """Conditions of which the file must meet one; none: it is stored whatever the file holds."""
        self.is_tombstone = is_tombstone
        self.is_in_flight = False

    def __repr__(self) -> str:
        return f"<Row {'nothing' if self.raw is None else f'{len(self.raw)} bytes'}>"

    def follow(self, before: Row) -> None:
        """Take the place of `before`, which the file has not seen: what would it hold after both?

        If it takes `before` it takes this one, too, as that was compared here. If not, this one is compared
        with what the file holds, unless it expects `before`.
        """
        if not self.any_of:
            return
        if not before.any_of:
            self.any_of = ()
            return
        identity = NOTHING if before.raw is None else before.raw[ID]
        own = tuple(condition for condition in self.any_of if condition.expected_id != identity)
        if own and all(condition.expected_id is None for condition in before.any_of + own):
            self.any_of = own  # its version is the higher one
        else:
            self.any_of = before.any_of + own

    def seen(self, now_ms: int) -> bytes | None:
        """What a reader gets of it."""
        return self.raw if self.expires_ms > now_ms else None


GONE: Final = Row(None, 0)
"""What a reader gets of a key whose value in the file is void."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim that somebody wants (`expires_ms` above 0), or gives back (0)."""

    key: str
    owner: bytes
    expires_ms: int
    ticket: Ticket


@dataclass(slots=True)
class Batch:
    """One transaction's work, in the order of its fields."""

    wipe: int = 0
    """Everything goes, if above 0."""
    prefixes: list[tuple[str, Ticket]] = field(default_factory=list[tuple[str, Ticket]])
    bumps: list[tuple[str, int, Ticket]] = field(default_factory=list[tuple[str, int, Ticket]])
    rows: list[tuple[str, Row]] = field(default_factory=list[tuple[str, Row]])
    claims: list[Claimed] = field(default_factory=list[Claimed])
    tickets: list[Ticket] = field(default_factory=list[Ticket])
    """Done with the rows."""


class Pending:
    """The queue before the file, which is at the same time what readers look at first.

    Bounded in rows and bytes. A value beyond is dropped, and its key marked, so that an older one in the file
    is not served; beyond the marks' bound the whole file becomes void. One thread at a time; no I/O.
    """

    __slots__ = (
        "_bumps",
        "_claims",
        "_epochs",
        "_prefixes",
        "_rows",
        "_tickets",
        "_wiped",
        "_wipes",
        "dropped",
        "size_bytes",
    )

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._prefixes: list[tuple[str, Ticket]] = []
        self._epochs: dict[str, int] = {}
        self._bumps: list[tuple[str, int, Ticket]] = []
        self._claims: list[Claimed] = []
        self._tickets: list[Ticket] = []
        self._wipes = 0
        self._wiped = 0
        self.size_bytes = 0
        self.dropped = 0
        """How many values had no room."""

    def __repr__(self) -> str:
        return f"<Pending {len(self._rows)} rows, {self.size_bytes} bytes, {self.dropped} dropped>"

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return bool(
            self._rows
            or self._prefixes
            or self._bumps
            or self._claims
            or self._tickets
            or self._wipes > self._wiped
        )

    def look(self, key: str) -> Row | None:
        """What is known of `key` here; None: the file knows."""
        row = self._rows.get(key)
        if row is not None:
            return row
        if self._wipes > self._wiped:
            return GONE
        for prefix, _ in self._prefixes:
            if key.startswith(prefix):
                return GONE
        return None

    def epoch(self, name: str) -> int:
        """The number that is known here; 0 for none."""
        return self._epochs.get(name, 0)

    def put(self, key: str, row: Row) -> bool:
        """Let `row` follow what is known of `key`; whether there was room for it."""
        rows = self._rows
        before = rows.get(key)
        if before is not None:
            if before.raw is not None:
                self.size_bytes -= len(before.raw)
            if not before.is_in_flight:
                row.follow(before)
        elif len(rows) >= MOST_ROWS and row.raw is not None and not row.is_tombstone:
            return self._drop(key)
        if row.raw is not None:
            if self.size_bytes + len(row.raw) > MOST_BYTES and not row.is_tombstone:
                return self._drop(key)
            self.size_bytes += len(row.raw)
        rows[key] = row
        if len(rows) > MOST_ROWS + MOST_MARKS:
            self.wipe()
        return True

    def mark(self, key: str) -> None:
        """What the file holds under `key` is void."""
        self.put(key, Row(None, 0))

    def erase(self, prefix: str, ticket: Ticket) -> int:
        """What begins with `prefix` is void; how many were waiting here."""
        keys = [key for key in self._rows if key.startswith(prefix)]
        for key in keys:
            self._forget(key)
        self._prefixes.append((prefix, ticket))
        if len(self._prefixes) > MOST_MARKS:
            self.wipe()
        return len(keys)

    def bump(self, name: str, now_ms: int, ticket: Ticket) -> int:
        """The epoch grows, to `now_ms` at least; the number as far as it is known here."""
        number = max(now_ms, self._epochs.get(name, 0) + 1)
        self._epochs[name] = number
        self._bumps.append((name, number, ticket))
        if len(self._bumps) > MOST_MARKS:
            self.wipe()
        return number

    def claim(self, claimed: Claimed) -> None:
        """Ask for a claim, or give it back."""
        self._claims.append(claimed)

    def when_written(self, ticket: Ticket) -> None:
        """`ticket` is done when all rows of now are in the file."""
        self._tickets.append(ticket)

    def wipe(self) -> None:
        """Everything of now is void, here and in the file; what waits for that is done."""
        self._wipes += 1
        self._rows.clear()
        self.size_bytes = 0
        for _, ticket in self._prefixes:
            _finish(ticket, 0)
        for _, number, ticket in self._bumps:
            _finish(ticket, number)
        self._prefixes.clear()
        self._bumps.clear()
        self._epochs.clear()

    def take(self, most_rows: int) -> Batch:
        """The oldest work; it stays in sight until `settle` or `give_back`."""
        rows = list(islice(self._rows.items(), most_rows))
        for _, row in rows:
            row.is_in_flight = True
        batch = Batch(
            self._wipes if self._wipes > self._wiped else 0,
            list(self._prefixes),
            list(self._bumps),
            rows,
            list(self._claims),
            list(self._tickets) if len(rows) == len(self._rows) else [],
        )
        del self._claims[: len(batch.claims)]
        del self._tickets[: len(batch.tickets)]
        return batch

    def settle(self, batch: Batch) -> None:
        """The file has it: what has not changed meanwhile is forgotten here."""
        self._wiped = max(self._wiped, batch.wipe)
        for key, row in batch.rows:
            if self._rows.get(key) is row:
                self._forget(key)
        self._without_invalidations_of(batch)

    def give_back(self, batch: Batch) -> None:
        """The file could not take it now. What followed a row of it must not expect to find that there."""
        for key, row in batch.rows:
            row.is_in_flight = False
            after = self._rows.get(key)
            if after is not None and after is not row:
                after.follow(row)
        self._claims[:0] = batch.claims
        self._tickets[:0] = batch.tickets

    def give_up_values(self) -> int:
        """No value will be written: their keys are marked instead. How many there were."""
        lost = 0
        for key, row in tuple(self._rows.items()):
            if row.raw is not None and not row.is_tombstone:
                self.size_bytes -= len(row.raw)
                self._rows[key] = Row(None, 0)
                lost += 1
        self.dropped += lost
        return lost

    def inherited(self) -> Pending:
        """What a forked child must not believe of the file; its parent writes the rest."""
        child = Pending()
        child.dropped = self.dropped
        if self._wipes > self._wiped:
            child.wipe()
        for prefix, _ in tuple(self._prefixes):
            child.erase(prefix, Future())
        for key in tuple(self._rows):
            child.mark(key)
        for name, number in tuple(self._epochs.items()):
            child.bump(name, number, Future())
        return child

    def finish(self, answer: Callable[[Claimed], object]) -> None:
        """Nobody will do this any more: those who wait go on."""
        for claimed in self._claims:
            _finish(claimed.ticket, answer(claimed))
        for ticket in self._tickets:
            _finish(ticket, None)
        self._claims.clear()
        self._tickets.clear()
        for _, ticket in self._prefixes:
            _finish(ticket, 0)
        for _, number, ticket in self._bumps:
            _finish(ticket, number)

    def _drop(self, key: str) -> bool:
        self.dropped += 1
        self._rows.pop(key, None)
        self.mark(key)
        return False

    def _forget(self, key: str) -> None:
        row = self._rows.pop(key, None)
        if row is not None and row.raw is not None:
            self.size_bytes -= len(row.raw)

    def _without_invalidations_of(self, batch: Batch) -> None:
        done = {id(ticket) for _, ticket in batch.prefixes}
        self._prefixes = [entry for entry in self._prefixes if id(entry[1]) not in done]
        settled = set(map(id, batch.bumps))
        self._bumps = [bump for bump in self._bumps if id(bump) not in settled]
        waiting = {name for name, _, _ in self._bumps}
        for name, _, _ in batch.bumps:
            if name not in waiting:
                self._epochs.pop(name, None)


def _finish(ticket: Ticket, answer: object) -> None:
    if not ticket.done():
        ticket.set_result(answer)
