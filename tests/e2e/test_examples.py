"""Every example runs as its first lines say, and says nothing on stderr."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
WHOLE = next(path for path in EXAMPLES if path.stem == "trading_system")
WITH_REDIS = [path for path in EXAMPLES if "REDIS_URL" in path.read_text(encoding="utf-8")]


def output(example: Path, folder: Path, environment: Mapping[str, str]) -> str:
    """What it prints, in an empty folder."""
    ended = subprocess.run(
        [sys.executable, str(example)],
        env={**environment, "TICKSPAN_SPOOL_DIR": str(folder / "spool")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("example", [path for path in EXAMPLES if path != WHOLE], ids=lambda path: path.stem)
def test_an_example_runs(example: Path, clean_environment: Mapping[str, str], tmp_path: Path) -> None:
    assert output(example, tmp_path, clean_environment)


@pytest.mark.parametrize("example", WITH_REDIS, ids=lambda path: path.stem)
def test_an_example_does_the_same_with_a_redis(
    example: Path, clean_environment: Mapping[str, str], tmp_path: Path, redis_server: str
) -> None:
    assert output(example, tmp_path, {**clean_environment, "REDIS_URL": redis_server})


def test_a_trading_system_trades_what_is_allowed_and_nothing_twice(
    clean_environment: Mapping[str, str], tmp_path: Path
) -> None:
    printed = output(WHOLE, tmp_path, clean_environment).splitlines()
    assert printed[:4] == [
        "t-1: buy 0.01 BTC/USDT: placed",
        "t-2: sell 0.02 BTC/USDT: placed",
        "t-3: buy 5 BTC/USDT: rejected by risk",
        "t-1: buy 0.01 BTC/USDT: placed, as before",
    ]
    assert printed[4].startswith("2 trades are in the database")
    assert printed[5] == "process_trade ran 4 times"
