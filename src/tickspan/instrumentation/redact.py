"""Secrets kept out by position: what of a URL, a header or a message may be recorded."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from tickspan.recording.scan import REDACTED, without_secrets

_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")
_TOKEN_SEGMENT: Final = re.compile(r"(?=.*\d)(?=.*[a-zA-Z])[\w:.~-]{20,}|[0-9a-fA-F]{16,}|.{65,}|bot\d+:.+")


def url(text: str, *, allowed_query: frozenset[str] = frozenset()) -> str:
    """Scheme, host, port and path template of a URL; of its query only allowed names, without user info.

    Path segments that look like tokens become `{}`. What cannot be parsed is not kept at all.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return REDACTED
    place = f"{host}:{port}" if port is not None else host
    path = "/".join(_template(segment) for segment in parts.path.split("/"))
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] in allowed_query]
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{parts.scheme}://{place}{path}{query}"


def _template(segment: str) -> str:
    return "{}" if _TOKEN_SEGMENT.fullmatch(segment) else segment


def text(message: str) -> str:
    """A message for people, at most 4 KiB, its URLs by the URL rule and the rest by the scanner."""
    return without_secrets(_URL.sub(lambda match: url(match[0]), message))
