"""What doctor tells of log files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tickspan.cli import log_finding
from tickspan.cli.finding import Finding
from tickspan.cli.log_finding import log_findings
from tickspan.config import AgentMode, LogSettings, Settings
from tickspan.logs.files import FileRules, LogFiles


def settings(directory: Path, **logs: Any) -> Settings:
    return replace(Settings(), logs=LogSettings(directory=str(directory), prefix="oms", **logs))


def told(asked: Settings) -> list[tuple[bool | None, str]]:
    return [(one.is_well, one.detail) for one in log_findings(asked)]


def deny(*_arguments: object) -> bool:
    return False


def test_nothing_is_told_where_no_files_are_asked_for():
    assert list(log_findings(Settings())) == []


def test_files_that_are_there_are_counted(tmp_path: Path):
    LogFiles(FileRules(tmp_path, "oms")).write([b"{}\n"])
    (finding,) = log_findings(settings(tmp_path))
    assert finding == Finding(
        "log files", is_well=True, detail=f"1 of prefix oms in {tmp_path}, 0.0 MiB; zstd"
    )


def test_a_folder_that_is_still_to_be_made_is_well(tmp_path: Path):
    assert [well for well, _ in told(settings(tmp_path / "a" / "b"))] == [True]


def test_without_an_agent_none_are_written(tmp_path: Path):
    asked = replace(settings(tmp_path), agent=AgentMode.OFF)
    assert told(asked) == [(False, "none are written: agent is off, and writes them")]


def test_what_keeps_files_from_being_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    assert told(settings(tmp_path / "file")) == [(False, f"{tmp_path / 'file'} is no folder")]
    below = tmp_path / "file" / "logs"
    assert told(settings(below)) == [(False, f"{below} cannot be made: {tmp_path / 'file'} is no folder")]
    large = told(settings(tmp_path, max_file_bytes=1 << 60))
    assert [(well, "less than one file of logs.max_file_bytes" in text) for well, text in large] == [
        (False, True)
    ]
    monkeypatch.setattr(log_finding.os, "access", deny)
    assert told(settings(tmp_path, archive_dir=str(tmp_path / "old"))) == [
        (False, f"{tmp_path} cannot be written by this user"),
        (False, f"logs.archive_dir: {tmp_path / 'old'} cannot be written by this user"),
    ]


def test_a_key_is_read_and_kept_secret(tmp_path: Path):
    key = tmp_path / "key"
    asked = settings(tmp_path, audit_key_file=str(key))
    assert told(asked)[1:] == [
        (False, f"logs.audit_key_file cannot be read: No such file or directory: {key}")
    ]
    key.touch(0o600)
    assert told(asked)[1:] == [(False, f"logs.audit_key_file is empty: {key}")]
    key.write_bytes(b"secret")
    assert told(asked)[1:] == []
    key.chmod(0o644)
    assert told(asked)[1:] == [
        (False, f"logs.audit_key_file can be read by others than its owner: chmod 600 {key}")
    ]
