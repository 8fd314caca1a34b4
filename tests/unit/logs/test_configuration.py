"""`logs.configure`, before and after the start, and what the distribution gives."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickspan.config import LogRotation, LogSettings, read_settings
from tickspan.distro.routes import spool_plan
from tickspan.logs import LoggingConfig, configuration, configure
from tickspan.logs.capture import CAPTURE
from tickspan.logs.configuration import Surroundings, set_up
from tickspan.logs.handover import wish_of
from tickspan.providers.logger import LoggerProvider
from tickspan.testing.sink import MemorySink


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's own capture, as at its start."""
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    monkeypatch.setattr(configuration, "_given", {})
    monkeypatch.setattr(configuration, "_here", [])
    before = CAPTURE.settings
    yield
    CAPTURE.stop()
    CAPTURE.configure(before)


def surroundings(tmp_path: Path, sink: MemorySink, *, has_agent: bool = True) -> Surroundings:
    provider = LoggerProvider(shutdown_on_exit=False, sink=sink)
    return Surroundings(provider, service_name="bot", spool=tmp_path / "spool", has_agent=has_agent)


def test_what_is_configured_before_the_start_holds_from_the_start(tmp_path: Path):
    sink = MemorySink()
    configure(directory=tmp_path / "logs", prefix="oms", level="ERROR", rotate="daily")
    set_up(LogSettings(prefix="other", throttle=7), surroundings(tmp_path, sink))
    logging.getLogger("app").warning("below")
    logging.getLogger("app").error("told")
    wish = wish_of(tmp_path / "spool", "bot")
    assert wish is not None
    assert (wish.rules.prefix, wish.rules.directory, wish.rules.rotate) == (
        "oms",
        tmp_path / "logs",
        LogRotation.DAILY,
    )
    assert (CAPTURE.settings.throttle, [log.body for log in sink.telemetry().logs]) == (7, ["told"])


def test_what_is_configured_later_holds_from_then_on(tmp_path: Path):
    sink = MemorySink()
    set_up(LogSettings(), surroundings(tmp_path, sink))
    assert wish_of(tmp_path / "spool", "bot") is None
    told = configure(LoggingConfig(directory=str(tmp_path / "logs"), max_file_bytes=100 << 20, level="ERROR"))
    logging.getLogger("app").warning("below")
    assert (sink.entries, told.level, wish_of(tmp_path / "spool", "bot") is None) == ([], "ERROR", False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"colour": "red"}, "logs.colour: expected one of capture, level, "),
        ({"rotate": "hourly"}, "logs.rotate: expected one of size, daily, session, got 'hourly'"),
        ({"max_file_bytes": -1}, "logs.max_file_bytes: expected a whole number, zero or more, got -1"),
        ({"level": "LOUD"}, "logs.level: expected one of "),
        ({"prefix": "../x"}, "logs.prefix: expected the beginning of a file's name"),
        ({"prefix": "oms-audit"}, "logs.prefix: expected the beginning of a file's name"),
    ],
)
def test_what_cannot_be_understood_raises_at_the_call(settings: dict[str, Any], expected: str):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        configure(**settings)
    assert str(caught.value).startswith(expected)


def test_a_level_of_the_environment_that_is_none_is_told_and_info_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    set_up(LogSettings(level="LOUD"), surroundings(tmp_path, MemorySink()))
    assert (CAPTURE.level, "logs.level: expected one of" in capsys.readouterr().err) == (logging.INFO, True)


def test_files_that_nobody_will_write_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    set_up(LogSettings(directory="logs"), surroundings(tmp_path, MemorySink(), has_agent=False))
    assert "no files are written" in capsys.readouterr().err


def test_the_console_shows_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up(LogSettings(console=True), surroundings(tmp_path, MemorySink()))
    logging.getLogger("app").propagate = False
    logging.getLogger("app").addHandler(logging.NullHandler())
    logging.getLogger("app").warning("filled")
    logging.getLogger("app").propagate = True
    assert "WARNING" in stream.getvalue()
    assert "filled" in stream.getvalue()


def test_a_folder_that_is_asked_for_before_the_start_asks_for_the_tap(tmp_path: Path):
    before = spool_plan(read_settings(environ={}), {}, "bot").taps
    configure(directory=tmp_path / "logs")
    assert (before, spool_plan(read_settings(environ={}), {}, "bot").taps) == ((), ("logs", "memory"))
    assert spool_plan(read_settings(environ={}), {"OTEL_LOGS_EXPORTER": "none"}, "bot").taps == ()
