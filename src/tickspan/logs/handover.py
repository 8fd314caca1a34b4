"""The handover: where the processes of a service want their log files, for the agent that writes them.

An agent has neither the working folder of a process nor what was set in its code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tickspan.config import LogRotation, LogSettings
from tickspan.logs.files import FileRules

__all__ = ["Wish", "hand_over", "wish_of"]

_PREFIX: Final = "logs-of-"
_S_PER_DAY: Final = 86_400.0


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What a service wants.

    Attributes:
        rules: of its files; the audit files are as these, beside them.
        key_file: with the key of the audit chain; None for a plain hash.
    """

    rules: FileRules
    key_file: Path | None = None

    @staticmethod
    def of(settings: LogSettings) -> Wish | None:
        """Of these settings, with absolute paths; None where they ask for no files."""
        if not settings.directory:
            return None
        rules = FileRules(
            Path(settings.directory).expanduser().absolute(),
            settings.prefix,
            settings.rotate,
            max(1, settings.max_file_bytes),
            settings.backup_count,
            settings.max_total_bytes,
            settings.max_age_days * _S_PER_DAY,
            Path(settings.archive_dir).expanduser().absolute() if settings.archive_dir else None,
            session=settings.session or "",
        )
        key_file = settings.audit_key_file
        return Wish(rules, Path(key_file).expanduser().absolute() if key_file else None)

    @property
    def audit_rules(self) -> FileRules:
        """Of the files of audit records."""
        return dataclasses.replace(self.rules, is_audit=True)


def hand_over(spool: Path, service: str, settings: LogSettings) -> None:
    """Say it to the agent of this spool; the last process of a service counts. Raises OSError."""
    wish = Wish.of(settings)
    path = _path(spool, service)
    if wish is None:
        path.unlink(missing_ok=True)
        return
    told = _told(wish)
    if _read(path) == told:
        return
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file)
    temporary.rename(path)


def wish_of(spool: Path, service: str) -> Wish | None:
    """What was said last; None where nobody wants files, or it cannot be read."""
    told = _read(_path(spool, service))
    try:
        archive, key_file = told["archive_dir"], told["key_file"]
        return Wish(
            FileRules(
                Path(told["directory"]),
                str(told["prefix"]),
                LogRotation(told["rotate"]),
                int(told["max_file_bytes"]),
                int(told["backup_count"]),
                int(told["max_total_bytes"]),
                float(told["max_age_s"]),
                Path(archive) if archive else None,
                session=str(told.get("session", "")),
            ),
            Path(key_file) if key_file else None,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _told(wish: Wish) -> dict[str, Any]:
    rules = wish.rules
    return {
        "directory": str(rules.directory),
        "prefix": rules.prefix,
        "rotate": rules.rotate.value,
        "max_file_bytes": rules.max_file_bytes,
        "backup_count": rules.backup_count,
        "max_total_bytes": rules.max_total_bytes,
        "max_age_s": rules.max_age_s,
        "session": rules.session,
        "archive_dir": str(rules.archive_dir) if rules.archive_dir else None,
        "key_file": str(wish.key_file) if wish.key_file else None,
    }


def _path(spool: Path, service: str) -> Path:
    digest = hashlib.sha256(service.encode(errors="replace")).hexdigest()[:16]
    return spool / f"{_PREFIX}{digest}.json"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
