"""Console: each captured record on stderr, for people or as JSON."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

from tickspan.logs.times import time_text
from tickspan.recording._impl import logrecord

__all__ = ["Console"]

_NS_PER_S: Final = 1e9


class Console:
    """Writes to what the stream is at that moment. A stream that is closed is left alone."""

    def __init__(self, is_json: bool, stream: Callable[[], TextIO | None]) -> None:
        self._is_json = is_json
        self._stream = stream

    def __repr__(self) -> str:
        return f"<Console {'json' if self._is_json else 'text'}>"

    def __call__(self, record: logging.LogRecord, category: str | None) -> None:
        """Write one record; messages and fields as they are recorded, without secrets."""
        stream = self._stream()
        if stream is None:
            return
        with suppress(OSError, ValueError):
            stream.write(self._text(record, category) + "\n")

    def _text(self, record: logging.LogRecord, category: str | None) -> str:
        fields: dict[str, Any] = logrecord.standard_attributes(record, None)
        body = logrecord.standard_body(record, fields)
        for key in list(fields):
            if key.startswith("code."):
                del fields[key]
        if self._is_json:
            told = {
                "time": time_text(int(record.created * _NS_PER_S)),
                "level": logrecord.severity_text_of(record.levelname),
                "category": category or "system",
                "logger": record.name,
                "message": body,
                "fields": fields,
            }
            return json.dumps(told, ensure_ascii=False, default=str)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        told = " ".join(f"{key}={value}" for key, value in fields.items())
        parts = (clock, f"{record.levelname:<8}", category or "-", record.name, str(body), told)
        return " ".join(part for part in parts if part).replace("\n", "\\n")
