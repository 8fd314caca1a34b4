"""Secrets kept out by position: what of a URL or a message may be recorded.

The rules themselves stand in `tickspan.recording`, where they are applied to whatever comes, also from
instrumentation that is not ours. `tickspan.instrumentation.positions` has those for statements and messages.
"""

from __future__ import annotations

import re
from typing import Final

from tickspan.recording.scan import MAX_SCANNED, scrubbed
from tickspan.recording.urls import NO_NAMES, REDACTED, without_data

__all__ = ["REDACTED", "database_text", "text", "url"]


def url(text: str, *, allowed_query: frozenset[str] = NO_NAMES) -> str:
    """Scheme, host, port and path template of a URL; of its query only allowed names, without user info."""
    return without_data(text, allowed_query)


def text(message: str) -> str:
    """A message for people, at most 4 KiB, its URLs by the URL rule and the rest by the scanner."""
    return scrubbed(message)


_PARTS_WITH_DATA: Final = re.compile(
    r"(?i)\[SQL:?\s|\[parameters:\s|\[\(Background|\b(?:DETAIL|CONTEXT|QUERY|STATEMENT|LINE \d+):|\bKey \("
)
"""What stands behind one of these quotes rows and statements, to the end of the text."""
_QUOTE: Final = re.compile(r"""(?<!\w)['"`]|['"`](?!\w)""")
"""None is an apostrophe inside of a word."""


def database_text(message: str) -> str:
    """What a database's error says, without quoted parts, `DETAIL`, `Key (…)=(…)`, `[SQL…]`, `[parameters…]`.

    It ends where one of these begins. What is quoted may hold quotes itself, as it does in a statement that
    has no end: all between the first quote and the last goes, and the rest where they are no pair.
    """
    head = message[:MAX_SCANNED]
    found = _PARTS_WITH_DATA.search(head)
    if found is not None:
        head = head[: found.start()]
    return scrubbed(_without_quoted(head, is_cut=len(head) == MAX_SCANNED)).rstrip()


def _without_quoted(text: str, *, is_cut: bool) -> str:
    quotes = list(_QUOTE.finditer(text))
    if not quotes:
        return text
    first, last = quotes[0], quotes[-1]
    is_pair = first is not last and first[0] == last[0] and not is_cut
    return f"{text[: first.start()]}?{text[last.end() :] if is_pair else ''}"
