"""The example runs by one command and tells what it did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[3] / "examples" / "alpaca_bot.py"


def test_the_bot_of_the_example_leaves_three_traces(tmp_path: Path) -> None:
    foreign = ("OTEL_", "TICKSPAN_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment["TICKSPAN_SPOOL_DIR"] = str(tmp_path / "spool")
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )
    lines = ended.stdout.splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [names.count(f"trading.{name}") for name in ("feed.message", "order.submit", "order.cancel")] == [
        3,
        3,
        1,
    ]
    assert lines[-1] == "The venue holds 3 orders and has booked 4 executions."
