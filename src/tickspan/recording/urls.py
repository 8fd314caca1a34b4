"""URLs without what they carry: scheme, host, port and path template stay."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

REDACTED: Final = "[redacted]"
MAX_URL: Final = 4 * 1024
"""Characters of a URL that are looked at; of what is longer nothing is kept but the head's whole segments."""

NO_NAMES: Final[frozenset[str]] = frozenset()
_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")
_TOKEN_SEGMENT: Final = re.compile(
    r"(?=.*\d)(?=.*[a-zA-Z])[\w:.~%+=@!$-]{20,}|[0-9a-fA-F]{16,}|.{65,}|bot\d+:.+", re.DOTALL
)


def without_data(url: str, allowed_query: frozenset[str] = NO_NAMES) -> str:
    """Scheme, host, port and path template of a URL; of its query only allowed names, without user info.

    Path segments that look like tokens become `{}`, `;parameters` of a segment go. What is neither absolute
    nor a path is not kept at all: `user:password@host` would parse as scheme and path.
    """
    if len(url) > MAX_URL:
        url = url[:MAX_URL].rpartition("/")[0]
    if "://" not in url and not url.startswith("/"):
        return REDACTED
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return REDACTED
    name = f"[{host}]" if ":" in host else host
    place = f"{name}:{port}" if port is not None else name
    path = "/".join(_template(segment) for segment in parts.path.split("/"))
    kept = query_without_data(parts.query, allowed_query)
    query = f"?{kept}" if kept else ""
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{place}{path}{query}"


def query_without_data(query: str, allowed: frozenset[str] = NO_NAMES) -> str:
    """Those parameters of a query string whose names are allowed."""
    if not allowed:
        return ""
    return "&".join(pair for pair in query[:MAX_URL].split("&") if pair.partition("=")[0] in allowed)


def in_text(text: str) -> str:
    """`text`, each URL in it without its data. Its cost grows with the length: cut before."""
    return _URL.sub(_found, text) if "://" in text else text


def _found(match: re.Match[str]) -> str:
    return without_data(match[0])


def _template(segment: str) -> str:
    name = segment.partition(";")[0]
    return "{}" if _TOKEN_SEGMENT.fullmatch(name) else name
