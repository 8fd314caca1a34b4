"""Actions: what buttons of the page do with what is kept."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tickspan_desk.sessions import Session, save
from tickspan_desk.store import Store, Window
from tickspan_desk.web.page import Action, Asked, Refused

__all__ = ["ALL", "actions_of"]

ALL: Final = Window(0, (1 << 63) - 1)
"""From the first to the last."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_SUFFIX: Final = ".tickspan"


def actions_of(store: Store, path: Path | None) -> Sequence[Action]:
    """`/api/save` writes a session beside the store, `/api/clear` forgets everything.

    A page has no say in where files are written: a session's name may have letters, digits, `_`, `.` and `-`.
    """

    def keep(asked: Asked, told: Mapping[str, Any]) -> Mapping[str, Any]:
        name = told.get("name") or f"{datetime.fromtimestamp(asked.now_ns / 1e9, UTC):%Y-%m-%d-%H%M%S}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("name: expected letters, digits, '_', '.' and '-', up to 80 of them")
        folder = path.parent / "sessions" if path else Path(tempfile.gettempdir())
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / (name.removesuffix(_SUFFIX) + _SUFFIX)
            if target.exists():
                raise Refused(f"{target} is there already: choose another name")
            saved: Session = save(target, store.batches(ALL))
        except OSError as error:
            raise Refused(f"it cannot be written: {error.strerror}") from None
        return {
            "message": f"Saved {saved.requests:,} requests in {saved.path}. "
            f"Show them again with: tickspan desk --load {saved.path}",
            "path": saved.path,
            "requests": saved.requests,
            "bytes": saved.bytes,
        }

    def clear(_asked: Asked, _told: Mapping[str, Any]) -> Mapping[str, Any]:
        started_s = time.monotonic()
        store.clear()
        return {"message": "Forgotten.", "seconds": round(time.monotonic() - started_s, 3)}

    return (Action("/api/save", keep), Action("/api/clear", clear))
