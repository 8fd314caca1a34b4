"""Names of log files: `<prefix>-<UTC start>-<n>.jsonl`; of audit records `<prefix>-audit-<start>-<n>.jsonl`.

`n` orders them whatever the clock did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tickspan.logs.claim import is_of_family

__all__ = ["LogFileName", "files_in", "next_number"]

_NAME: Final = re.compile(
    r"(?P<prefix>.+?)(?P<audit>-audit)?-(?P<start>\d{8}T\d{6}Z)-(?P<number>\d{6,})\.jsonl(?P<suffix>\.zst|\.gz)?"
)


@dataclass(frozen=True, slots=True, order=True)
class LogFileName:
    """A log file and what its name says; files sort by number.

    Attributes:
        number: `n`.
        path: of the file.
        prefix: before the start.
        is_audit: whether it holds audit records, and they are a chain.
        suffix: of the compression; empty for none.
    """

    number: int
    path: Path
    prefix: str
    is_audit: bool
    suffix: str

    @staticmethod
    def of(path: Path) -> LogFileName | None:
        """None for a file of another kind."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        return LogFileName(
            int(match["number"]), path, match["prefix"], match["audit"] is not None, match["suffix"] or ""
        )


def files_in(folder: Path, prefix: str | None = None) -> list[LogFileName]:
    """Log files of a folder, oldest first; of a prefix and its family, or all. Empty where none can be read.

    A file that is there compressed too was left by a crash: the compressed one counts.
    """
    try:
        found = [one for path in folder.iterdir() if (one := LogFileName.of(path)) is not None]
    except OSError:
        return []
    names = {one.path.name for one in found if one.suffix}
    kept = [
        one
        for one in found
        if (prefix is None or is_of_family(one.prefix, prefix))
        and (one.suffix or not {f"{one.path.name}.zst", f"{one.path.name}.gz"} & names)
    ]
    return sorted(kept)


def next_number(folder: Path, prefix: str) -> int:
    """One more than any of this prefix."""
    return max((one.number for one in files_in(folder, prefix)), default=0) + 1
