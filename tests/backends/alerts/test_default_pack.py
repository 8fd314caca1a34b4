"""The default pack, compiled, says in promtool what it says in our engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickspan.cli import main

pytestmark = pytest.mark.backends


def test_promtool_agrees_with_every_unit_test_of_the_pack(
    promtool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["alerts", "test", "default", "--oracle", str(promtool)])
    assert (status, capsys.readouterr().out) == (0, "29 tests, 0 failures\n")
