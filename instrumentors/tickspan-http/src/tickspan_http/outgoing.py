"""An HTTP request on its way to a venue, as each library gives it. Pure: bodies are read, never consumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

MAX_BODY: Final = 64 * 1024
"""Longer bodies are not read: no order is that long."""
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request: `fields` is what its query and body say, by name."""

    library: str
    method: str
    host: str
    port: int | None
    path: str
    fields: Any
    """Of a JSON body its value, merged with the query's names where it is an object; else a mapping."""
    body: str = ""
    """As text, cut off: routes are told apart by it."""


def outgoing(library: str, method: str, url: str, body: Any = None) -> Outgoing:
    """The request that goes to `url` with `body` (text, bytes, a mapping, or anything that JSON has)."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    told = fields_of(body)
    fields = {**query, **told} if isinstance(told, Mapping) else told
    path, host = parts.path or "/", parts.hostname or ""
    return Outgoing(library, method.upper(), host, parts.port, path, fields, _written(body))


def fields_of(body: Any) -> Any:
    """What a body says: JSON or a form; an empty mapping where it says nothing that can be read."""
    if isinstance(body, bytes | bytearray):
        return fields_of(bytes(body[: MAX_BODY + 1]).decode(errors="replace"))
    if isinstance(body, str):
        return _read(body) if len(body) <= MAX_BODY else {}
    return body if isinstance(body, Mapping | list) else {}


def _written(body: Any) -> str:
    if isinstance(body, bytes | bytearray):
        return bytes(body[:MAX_BODY]).decode(errors="replace")
    if isinstance(body, str):
        return body[:MAX_BODY]
    if not isinstance(body, Mapping | list):
        return ""
    try:
        return json.dumps(body, default=str)[:MAX_BODY]
    except (TypeError, ValueError, RecursionError):
        return ""


def _read(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return dict(parse_qsl(text))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict | list) else {}


def first(value: Any, names: Sequence[str], depth: int = 0) -> Any:
    """The first scalar under one of `names`, outer levels before inner ones; None if there is none."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        for name in names:
            found = value.get(name)
            if isinstance(found, str | int | float) and not isinstance(found, bool) and found != "":
                return found
        inner = [one for one in value.values() if isinstance(one, Mapping | list)]
    else:
        inner = value[:1] if isinstance(value, list) else []
    found_inside = (first(one, names, depth + 1) for one in inner)
    return next((found for found in found_inside if found is not None), None)


def text(value: Any) -> str | None:
    """A scalar as text; None for anything else."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
