"""Headers as text: what a variable or a file says, without what would break a header."""

from __future__ import annotations

import re
from urllib.parse import unquote

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token, RFC 9110 5.6.2
_BREAKS_A_HEADER = re.compile(r"[\r\n\x00]")


def parse_headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, percent-decoded, as `OTEL_EXPORTER_OTLP_HEADERS` has it; names in lower case.

    A pair that is none, or whose value would break a header, is left out.
    """
    headers: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        put_header(headers, unquote(name) if equals else "", unquote(value))
    return headers


def parse_headers_file(text: str) -> dict[str, str]:
    """Lines of `name=value`, the value as it stands; empty lines and lines after `#` are skipped."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not line.lstrip().startswith("#"):
            put_header(headers, name if equals else "", value)
    return headers


def put_header(headers: dict[str, str], name: str, value: str) -> None:
    """Set a header, its name in lower case, unless name or value would break a request."""
    key, content = name.strip().lower(), value.strip()
    if _NAME.fullmatch(key) and not _BREAKS_A_HEADER.search(content):
        headers[key] = content
