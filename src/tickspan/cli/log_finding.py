"""What `tickspan doctor` tells of log files: where they are, and what keeps them from being written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tickspan.cli.finding import Finding
from tickspan.config import AgentMode, LogSettings, Settings
from tickspan.logs.codec import best
from tickspan.logs.names import files_in

__all__ = ["log_findings"]

_MIB = 1 << 20
_OTHERS = 0o077


def log_findings(settings: Settings) -> Iterable[Finding]:
    """Nothing where no files are asked for."""
    logs = settings.logs
    if not logs.directory:
        return
    if settings.agent is AgentMode.OFF:
        yield Finding("log files", is_well=False, detail="none are written: agent is off, and writes them")
        return
    yield _of_directory(Path(logs.directory).expanduser(), logs)
    if logs.archive_dir:
        reason = _reason_against(Path(logs.archive_dir).expanduser())
        if reason:
            yield Finding("log files", is_well=False, detail=f"logs.archive_dir: {reason}")
    if logs.audit_key_file:
        yield from _of_key(Path(logs.audit_key_file).expanduser())


def _of_directory(directory: Path, settings: LogSettings) -> Finding:
    reason = _reason_against(directory)
    if reason:
        return Finding("log files", is_well=False, detail=reason)
    there = directory if directory.is_dir() else _first_parent(directory)
    free = os.statvfs(there)
    free_bytes = free.f_bavail * free.f_frsize
    if free_bytes < settings.max_file_bytes:
        detail = (
            f"{free_bytes // _MIB:,} MiB are free in {there}, less than one file of logs.max_file_bytes"
            f" ({settings.max_file_bytes // _MIB:,} MiB)"
        )
        return Finding("log files", is_well=False, detail=detail)
    files = files_in(directory, settings.prefix)
    size = sum(one.path.stat().st_size for one in files if one.path.exists())
    codec = "zstd" if best().suffix == ".zst" else "gzip; zstd, where it is installed, is faster to search"
    return Finding(
        "log files",
        is_well=True,
        detail=f"{len(files)} of prefix {settings.prefix} in {directory}, {size / _MIB:,.1f} MiB; {codec}",
    )


def _reason_against(directory: Path) -> str:
    """Why this user cannot write files there; empty where it can."""
    if directory.exists() and not directory.is_dir():
        return f"{directory} is no folder"
    there = directory if directory.is_dir() else _first_parent(directory)
    if not there.is_dir():
        return f"{directory} cannot be made: {there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{directory} cannot be written by this user"
    return ""


def _first_parent(path: Path) -> Path:
    """The nearest one that is there."""
    return next((one for one in path.absolute().parents if one.exists()), Path("/"))


def _of_key(path: Path) -> Iterable[Finding]:
    try:
        mode, key = path.stat().st_mode, path.read_bytes().strip()
    except OSError as error:
        detail = f"logs.audit_key_file cannot be read: {error.strerror}: {path}"
        yield Finding("log files", is_well=False, detail=detail)
        return
    if not key:
        yield Finding("log files", is_well=False, detail=f"logs.audit_key_file is empty: {path}")
    elif mode & _OTHERS:
        detail = f"logs.audit_key_file can be read by others than its owner: chmod 600 {path}"
        yield Finding("log files", is_well=False, detail=detail)
