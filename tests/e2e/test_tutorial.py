"""Whoever follows the tutorial sees what `docs/tutorial/README.md` shows."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tickspan_spool import agent

from scripts.tutorial import Reader, TutorialError, missing, steps

pytestmark = pytest.mark.e2e


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    spool = tmp_path / "spool"
    yield spool
    agent.stop(spool)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.timeout(600)
def test_each_step_prints_what_the_page_shows(
    tmp_path: Path, spool: Path, free_port: int, clean_environment: Mapping[str, str]
) -> None:
    """In the environment that is there: clone and environment are left out, and the demo is short."""
    environment = {**clean_environment, "TICKSPAN_SPOOL_DIR": str(spool), "PYTHONUNBUFFERED": "1"}
    instead = {
        "git clone … tickspan && cd tickspan": "mkdir tickspan && cd tickspan",
        "make demo": "tickspan demo --seconds 2 --no-faults",
        " && . ../.venv-demo/bin/activate": "",
        ". .venv-demo/bin/activate": "true",
        "8099": str(free_port),
    }
    with Reader(tmp_path, environment, instead) as reader:
        titles = [title for title, _ in reader.follow()]
    assert titles == [step.title for step in steps()]


def test_a_page_that_promises_too_much_is_found_out(
    tmp_path: Path, clean_environment: Mapping[str, str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("## 1. Say it\n\n```console\n$ echo 3 orders\n4 orders\n3 fills\n```\n")
    with (
        Reader(tmp_path, clean_environment) as reader,
        pytest.raises(TutorialError, match="expected: 3 fills\nprinted:\n3 orders"),
    ):
        list(reader.follow(page))


def test_numbers_ids_and_bars_may_differ_and_words_may_not() -> None:
    shown = "…\nSELECT ticks   ███   1.2 ms  d5675c26c2e88e21\n…"
    assert missing(shown, "head\nSELECT ticks █ 980 us 00aa6fab4dc2383c\n") is None
    assert missing(shown, "SELECT orders █ 980 us 00aa6fab4dc2383c\n") == shown.splitlines()[1]
