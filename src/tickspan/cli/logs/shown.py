"""How a line of a log file is shown to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["shown"]


def shown(line: Mapping[str, Any], *, is_json: bool) -> str:
    """One line of text: time, level, category, logger, message, fields. Control characters are escaped."""
    if is_json:
        return json.dumps(line, ensure_ascii=False)
    fields: Any = line.get("fields") or {}
    told = " ".join(f"{key}={value}" for key, value in fields.items())
    exception: Any = line.get("exception") or {}
    failed = f"{exception.get('type', '')}: {exception.get('message', '')}" if exception else ""
    parts = (
        str(line.get("time", "")),
        f"{line.get('level', ''):<5}",
        str(line.get("category", "-")),
        str(line.get("logger", "")),
        str(line.get("message", "")),
        told,
        failed,
    )
    return "".join(_printable(character) for character in " ".join(part for part in parts if part))


def _printable(character: str) -> str:
    """A log line may hold what moves a terminal's cursor."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()
