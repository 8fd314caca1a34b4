"""Loggers that `dictConfig` has disabled are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tickspan.cli.finding import Finding
from tickspan.cli.logger_finding import logger_findings


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    """No logger is disabled before and after."""
    others = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(one, one.disabled) for one in others]
    for one in others:
        one.disabled = False
    yield
    for one, was in before:
        one.disabled = was


def test_loggers_that_a_configuration_has_disabled_are_named():
    names = [f"app.silenced{number}" for number in range(12)]
    for name in names:
        logging.getLogger(name).disabled = True
    try:
        told = list(logger_findings())
    finally:
        for name in names:
            logging.getLogger(name).disabled = False
    first = ", ".join(sorted(names)[:10])
    assert told == [
        Finding(
            "loggers",
            is_well=False,
            detail=f"disabled, and record nothing: {first} and 2 more; logging's configuration does that to"
            " loggers it does not name, unless disable_existing_loggers is false",
        )
    ]


def test_nothing_is_told_where_none_is():
    assert list(logger_findings()) == []
