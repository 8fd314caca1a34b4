"""Our own logger: it speaks on stderr and leaves the application's logging alone."""

from __future__ import annotations

import logging

import pytest

from tickspan.recording import diagnostics


def test_warnings_go_to_what_stderr_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.warning("a %s", "word")
    assert capsys.readouterr() == ("", "tickspan: a word\n")


def test_what_is_no_warning_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.info("a word")
    assert capsys.readouterr() == ("", "")


def test_the_root_logger_hears_nothing_and_has_no_handler_of_ours() -> None:
    assert diagnostics.propagate is False
    ours = [
        type(handler) for handler in diagnostics.handlers if type(handler).__module__.startswith("tickspan")
    ]
    assert len(ours) == 1
    assert [handler for handler in logging.getLogger().handlers if type(handler) in ours] == []
