"""The fault harness on the stock SDK: it tells a loss from a delivery."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_RUN = Path(__file__).parents[2] / "benchmarks" / "faults" / "run.py"


@pytest.mark.e2e
def test_the_harness_reports_what_stock_loses_and_what_it_delivers(tmp_path: Path):
    report = tmp_path / "faults.json"
    done = subprocess.run(
        [
            sys.executable,
            _RUN,
            "--contender",
            "stock",
            "--case",
            "os._exit(4)",
            "falls off the end",
            "--json",
            report,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    told: dict[str, Any] = json.loads(report.read_text())
    verdicts = {case["name"]: case["verdicts"]["stock"] for case in told["cases"]}
    assert done.returncode == 0, done.stderr  # only a failure of ours is one
    assert {name: verdict["has_passed"] for name, verdict in verdicts.items()} == {
        "falls off the end": True,
        "falls off the end, black hole": False,
        "os._exit(4)": False,
    }
    assert (verdicts["os._exit(4)"]["lost"], verdicts["os._exit(4)"]["ended"]) == (82, 82)
    assert "| exit | os._exit(4) | stock | **FAIL** | 82 of 82 |" in done.stdout
