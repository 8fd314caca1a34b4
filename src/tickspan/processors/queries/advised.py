"""What was advised: a small file beside the spool, so that an index can be judged after it was built."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["FILE", "Advised", "recall", "remember"]

FILE: Final = "index-advice.json"
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Advised:
    """One index that was advised.

    Attributes:
        id: of the advice.
        name: of the index.
        table: that it is for.
        fingerprints: of the statements that it was advised for.
        rollback: statements that remove it, in one text.
        at_s: when, in seconds since 1970.
    """

    id: str
    name: str
    table: str
    fingerprints: tuple[str, ...]
    rollback: str
    at_s: float


def recall(folder: Path) -> dict[str, Advised]:
    """All that is remembered, by id. What cannot be read is as if it were not there."""
    try:
        written: list[dict[str, Any]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = [_read(item) for item in written]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return {item.id: item for item in found}


def _read(item: Mapping[str, Any]) -> Advised:
    return Advised(
        str(item["id"]),
        str(item["name"]),
        str(item["table"]),
        tuple(map(str, item["fingerprints"])),
        str(item["rollback"]),
        float(item["at_s"]),
    )


def remember(folder: Path, advised: Iterable[Advised]) -> None:
    """Add to what is remembered, the latest 200; the first time of an advice stays. Raises `OSError`."""
    known = recall(folder)
    for item in advised:
        known.setdefault(item.id, item)
    latest = sorted(known.values(), key=lambda item: item.at_s)[-_MOST:]
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{FILE}.{os.getpid()}"
    fresh.write_text(json.dumps([asdict(item) for item in latest], indent=1), encoding="utf-8")
    fresh.replace(folder / FILE)
