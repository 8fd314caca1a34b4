"""URLs without what they carry: scheme, host, port and path template stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

REDACTED: Final = "[redacted]"
MAX_URL: Final = 4 * 1024
"""Characters of a URL that are looked at; of what is longer nothing is kept but the head's whole segments."""

NO_NAMES: Final[frozenset[str]] = frozenset()
_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")
_REQUEST: Final = re.compile(r"(\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|(?i:url):?)\s{1,4})(/[^\s\"'<>]*)")
"""A path where people and libraries write one: behind a method, or behind `url:` in an error."""
_TOKEN_SEGMENT: Final = re.compile(
    r"(?=.*\d)(?=.*[a-zA-Z])[\w:.~%+=@!$-]{20,}|[0-9a-fA-F]{16,}|.{65,}|bot\d+:.+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class HostRule:
    """What is known of the URLs of one host, on top of what goes for all."""

    query_names: frozenset[str] = NO_NAMES
    """Parameters of a query that may be recorded."""
    secret_paths: tuple[str, ...] = ()
    """Beginnings of paths, with `{…}` for a segment that opens something: `/ws/{listenKey}`."""


FindHostRule = Callable[[str], HostRule | None]
"""The rule of a host, which is in lower case. Must not raise, and costs little."""

_finders: Final[list[FindHostRule]] = []


def add_host_rules(find: FindHostRule) -> Callable[[], None]:
    """Ask `find` about each host from now on; returns what stops that."""
    _finders.append(find)

    def remove() -> None:
        if find in _finders:
            _finders.remove(find)

    return remove


def _host_rule(host: str) -> HostRule | None:
    return next((rule for find in _finders if (rule := find(host)) is not None), None)


def without_data(url: str, allowed_query: frozenset[str] = NO_NAMES) -> str:
    """Scheme, host, port and path template of a URL; of its query only allowed names, without user info.

    Allowed are the given names and those that a rule of the host has (`add_host_rules`). Path segments that
    look like tokens become `{}`, `;parameters` of a segment go. What is neither absolute nor a path is not
    kept at all: `user:password@host` would parse as scheme and path.
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
    rule = _host_rule(host) if host and _finders else None
    segments = [_template(segment) for segment in parts.path.split("/")]
    if rule is not None:
        allowed_query |= rule.query_names
        segments = _without_secrets(segments, rule)
    path = "/".join(segments)
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
    if "://" in text:
        text = _URL.sub(_found, text)
    return _REQUEST.sub(_requested, text) if " /" in text else text


def _found(match: re.Match[str]) -> str:
    return without_data(match[0])


def _requested(match: re.Match[str]) -> str:
    return match[1] + without_data(match[2])


def _without_secrets(segments: list[str], rule: HostRule) -> list[str]:
    """The segments of a path, those that a rule calls secret as `{}`."""
    for pattern in rule.secret_paths:
        names = pattern.split("/")
        pairs = list(zip(names, segments, strict=False))
        if len(pairs) == len(names) and all(name == own or name.startswith("{") for name, own in pairs):
            hidden = ["{}" if name.startswith("{") and own else own for name, own in pairs]
            segments = [*hidden, *segments[len(names) :]]
    return segments


def _template(segment: str) -> str:
    name = segment.partition(";")[0]
    return "{}" if _TOKEN_SEGMENT.fullmatch(name) else name
