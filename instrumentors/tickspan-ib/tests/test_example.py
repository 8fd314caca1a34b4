"""The example, as its reader runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[3] / "examples" / "ib_bot.py"


@pytest.mark.parametrize("library", ["ib_async", "ib_insync"])
def test_the_example_shows_each_of_its_orders_in_a_trace_of_its_own(tmp_path: Path, library: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))},
        "TICKSPAN_SPOOL_DIR": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE), library],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )
    traces = [re.findall(r"^ *(trading\.[\w.]+)", part, re.MULTILINE) for part in ended.stdout.split("\n\n")]
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("The venue holds 3 orders and has booked 4 executions.\n")
    assert sorted(len(trace) for trace in traces) == [0, 6, 6, 7]
    assert [name for trace in traces for name in trace].count("trading.order.lifecycle") == 3
