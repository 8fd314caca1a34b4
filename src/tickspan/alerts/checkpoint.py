"""The checkpoint: what evaluators know, in a file, so that `for` and firing alerts survive a restart."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["FILE", "GRACE_S", "MAX_OUTAGE_S", "Checkpoint", "read_any", "read_checkpoint", "write_atomically"]

FILE: Final = "alerts-checkpoint.json"
MAX_OUTAGE_S: Final = 3600.0
"""State that is older is not taken up again."""
GRACE_S: Final = 600.0
"""How long a restored alert that was pending has at least, before it fires; what fired stays as long."""
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was written.

    Attributes:
        written_s: when, since 1970.
        state: JSON-able.
    """

    written_s: float
    state: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Put it in the place of the one before, wholly or not at all. Raises OSError."""
        write_atomically(path, {"version": _VERSION, "written_s": self.written_s, "state": self.state})


def read_any(path: Path) -> Checkpoint | None:
    """The checkpoint of a file, however old; None where there is none, or it cannot be read."""
    try:
        document: Any = json.loads(path.read_bytes())
        if document["version"] != _VERSION:
            return None
        return Checkpoint(float(document["written_s"]), dict(document["state"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_checkpoint(path: Path, now_s: float) -> Checkpoint | None:
    """The checkpoint of a file; None where there is none that can be read and is not older than an hour.

    Args:
        path: of the file.
        now_s: since 1970. A checkpoint of the future, as after a clock was set back, is taken as of now.
    """
    found = read_any(path)
    if found is None or now_s - found.written_s > MAX_OUTAGE_S:
        return None
    return Checkpoint(min(found.written_s, now_s), found.state)


def write_atomically(path: Path, document: object) -> None:
    """Write JSON that only its owner can read; readers see the old file or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
