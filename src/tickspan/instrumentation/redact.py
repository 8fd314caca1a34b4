"""Secrets kept out by position: what of a URL, a header or a message may be recorded."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from tickspan.recording.scan import MAX_SCANNED, REDACTED, without_secrets

_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")
_TOKEN_SEGMENT: Final = re.compile(
    r"(?=.*\d)(?=.*[a-zA-Z])[\w:.~%+=@!$-]{20,}|[0-9a-fA-F]{16,}|.{65,}|bot\d+:.+", re.DOTALL
)


def url(text: str, *, allowed_query: frozenset[str] = frozenset()) -> str:
    """Scheme, host, port and path template of a URL; of its query only allowed names, without user info.

    Path segments that look like tokens become `{}`, `;parameters` of a segment go. What is neither absolute
    nor a path is not kept at all: `user:password@host` would parse as scheme and path.
    """
    if "://" not in text and not text.startswith("/"):
        return REDACTED
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return REDACTED
    name = f"[{host}]" if ":" in host else host
    place = f"{name}:{port}" if port is not None else name
    path = "/".join(_template(segment) for segment in parts.path.split("/"))
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] in allowed_query]
    query = f"?{'&'.join(kept)}" if kept else ""
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{place}{path}{query}"


def _template(segment: str) -> str:
    name = segment.partition(";")[0]
    return "{}" if _TOKEN_SEGMENT.fullmatch(name) else name


def text(message: str) -> str:
    """A message for people, at most 4 KiB, its URLs by the URL rule and the rest by the scanner."""
    return without_secrets(_URL.sub(lambda match: url(match[0]), _cut(message)))


def _cut(message: str) -> str:
    """4 KiB in whole words: the head of a URL's password would look like its port."""
    if len(message) <= MAX_SCANNED:
        return message
    return message[:MAX_SCANNED].rpartition(" ")[0] or REDACTED
