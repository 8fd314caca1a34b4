"""Chain: each audit line holds a hash of itself and of the one before it, so that no change goes unseen.

`SHA-256(previous head ‖ line without its hash)`, or HMAC-SHA-256 with a key. What is cut off at the end is
seen by whoever knows a later head: the agent tells it as an event each minute.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tickspan.logs.line import encoded

__all__ = ["START", "Chain", "Fault", "Verdict", "Witness", "verify"]

Witness: TypeAlias = tuple[int, str]
"""A link, and the head that somebody else has for it."""

START: Final = "0" * 64
"""The head of a chain without a record."""
_END: Final = b"}}\n"
"""Of a line: `audit` stands last in it, and `hash` last in that."""


@dataclass(slots=True)
class Chain:
    """The chain that is being written: how many links, and its head."""

    key: bytes | None = field(default=None, repr=False)
    link: int = 0
    head: str = START

    def add(self, line: dict[str, Any]) -> bytes:
        """Link a line, which has `audit`; as it is written."""
        self.link += 1
        line["audit"] = {**line["audit"], "link": self.link}
        bare = encoded(line)
        self.head = _hash(self.head, bare, self.key)
        return bare[: -len(_END)] + _tail(self.head)

    def resume(self, line: dict[str, Any]) -> None:
        """Go on after this line."""
        self.link, self.head = int(line["audit"]["link"]), str(line["audit"]["hash"])


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong with a chain.

    Attributes:
        kind: changed, missing (another link stands in its place), moved (a link that was there before stands
            in its place), or unreadable (as is a line that was cut off).
        link: where.
        where: file and line.
        uid: of the record that stands there; empty where none can be read.
    """

    kind: str
    link: int
    where: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.where}: link {self.link} is {self.kind}{f' ({self.uid})' if self.uid else ''}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a chain is worth.

    Attributes:
        first: its first link that is there.
        last: its last.
        head: of the last.
        fault: the first; None for none.
        gaps: numbers that are missing in a process's own count: records that were lost before they came here.
    """

    first: int
    last: int
    head: str
    fault: Fault | None
    gaps: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, taken away or moved."""
        return self.fault is None


def verify(
    lines: Iterable[tuple[str, bytes]],
    keys: Sequence[bytes | None] = (),
    witnesses: Iterable[Witness] = (),
    *,
    is_partial: bool = False,
) -> Verdict:
    """Look at a whole chain, up to the first fault.

    Args:
        lines: where each stands, and its bytes, in the order of the files.
        keys: of the HMAC, in the order in which they were used; None is a plain hash, as is no key at all.
        witnesses: links, and the heads that a collector has for them. One of the link before the first line
            makes a chain whose begin is elsewhere as good as whole.
        is_partial: believe the first line where its predecessor is not known, instead of missing link 1.
    """
    heads = dict(witnesses)
    audit = _Audit(tuple(keys) or (None,), heads, is_partial=is_partial)
    for where, text in lines:
        fault = audit.fault_of(where, text)
        if fault is not None:
            return audit.verdict(fault)
    later = [link for link in heads if link > audit.last]
    return audit.verdict(Fault("missing", audit.last + 1, "end of the files") if later else None)


class _Audit:
    """What is known of a chain so far."""

    def __init__(self, keys: Sequence[bytes | None], heads: Mapping[int, str], *, is_partial: bool) -> None:
        self._keys = list(keys)
        self._heads = heads
        self._is_partial = is_partial
        self._counts: dict[str, int] = {}
        self._gaps: list[str] = []
        self._first = 0
        self._head: str | None = START
        self.last = 0

    def verdict(self, fault: Fault | None) -> Verdict:
        """At this point."""
        return Verdict(self._first, self.last, self._head or START, fault, tuple(self._gaps))

    def fault_of(self, where: str, text: bytes) -> Fault | None:
        """Look at the next line."""
        line = _parsed(text)
        if line is None:
            return Fault("unreadable", self.last + 1, where)
        link, told, uid = line["audit"]["link"], line["audit"]["hash"], str(line.get("uid", ""))
        if not self._first:
            self._begin(link)
        expected = self.last + 1
        if link != expected:
            return Fault("missing" if link > expected else "moved", expected, where, uid)
        if self._head is not None and not self._is_right(text, self._head, told):
            return Fault("changed", link, where, uid)
        if not hmac.compare_digest(self._heads.get(link, told).encode(), told.encode()):
            return Fault("changed", link, where, uid)
        self._first = self._first or link
        self.last, self._head = link, told
        self._gaps += _gaps(self._counts, uid, line["audit"].get("sequence"), knows_start=self._first == 1)
        return None

    def _begin(self, link: int) -> None:
        """At the first line: its predecessor is the start, a head that is known, or believed."""
        known = self._heads.get(link - 1)
        if link > 1 and (known is not None or self._is_partial):
            self.last, self._head = link - 1, known

    def _is_right(self, text: bytes, previous: str, told: str) -> bool:
        """Whether a line's bytes have the hash that it tells; a key that was followed by another is past."""
        tail = _tail(told)
        text = text if text.endswith(b"\n") else text + b"\n"
        if not text.endswith(tail):
            return False
        bare = text[: -len(tail)] + _END
        for position, key in enumerate(self._keys):
            if hmac.compare_digest(_hash(previous, bare, key).encode(), told.encode()):
                del self._keys[:position]
                return True
        return False


def _tail(head: str) -> bytes:
    return b',"hash":"' + head.encode(errors="replace") + b'"' + _END


def _hash(previous: str, bare: bytes, key: bytes | None) -> str:
    data = previous.encode(errors="replace") + bare
    if key is not None:
        return hmac.new(key, data, hashlib.sha256).hexdigest()
    return hashlib.sha256(data).hexdigest()


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        audit = line["audit"]
        is_link = type(audit["link"]) is int and audit["link"] > 0
        return line if is_link and isinstance(audit["hash"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def _gaps(counts: dict[str, int], uid: str, sequence: object, *, knows_start: bool) -> Iterator[str]:
    process = uid.rpartition("-")[0]
    if not isinstance(sequence, int):
        return
    before = counts.get(process, 0 if knows_start else None)
    counts[process] = max(sequence, before or 0)
    if before is not None and sequence > before + 1:
        yield f"{process}: {before + 1} to {sequence - 1}"
