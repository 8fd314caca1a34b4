"""Run SQLAlchemy's own tests of pools with every pool governed by tickspan: `make check-pools`.

    python scripts/check_pools.py

The tests are `SUITE` in the source distribution of the installed SQLAlchemy version. They run first as they
are: what fails then fails because of the environment, and is not asked of us. What passes by itself must pass
with each pool governed: measured, fair where it has a limit, its connections looked after and their holders
known. The sources are kept in `${XDG_CACHE_HOME:-~/.cache}/tickspan/upstream/sqlalchemy-VERSION`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

SUITE: Final = ("test/engine/test_pool.py", "test/engine/test_reconnect.py", "test/base/test_concurrency.py")
_SCRIPTS: Final = Path(__file__).parent
_RUN_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """Outcomes of one run by test id, how many pools were governed, and pytest's closing line."""

    outcomes: Mapping[str, str]
    governed: int
    closing_line: str
    log: str


def main() -> int:
    """Print both runs' closing lines and each regression. Returns 1 when there is one."""
    sources = fetched(version("sqlalchemy"), _cache_root())
    stock = run(sources)
    print(f"ungoverned                 {stock.closing_line}", flush=True)
    ours = run(sources, "--governed")
    print(f"{ours.governed:>5} pools governed       {ours.closing_line}", flush=True)
    lost = regressions(stock.outcomes, ours.outcomes)
    for test in lost:
        print(f"  fails where pools are governed: {test}")
    if lost:
        print(ours.log)
    passed = sum(outcome == "passed" for outcome in stock.outcomes.values())
    print(f"check-pools: {len(lost)} of {passed} tests of SQLAlchemy that pass fail where pools are governed")
    return int(bool(lost) or not passed)


def regressions(stock: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Tests that passed ungoverned and did not pass, or did not run, governed."""
    return [test for test, outcome in stock.items() if outcome == "passed" and ours.get(test) != "passed"]


def run(sources: Path, *options: str) -> Run:
    """Run the suite in a process of its own.

    Raises `RuntimeError` with the end of the log when pytest did not get to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:tickspan", "-p", "no:cacheprovider"),
                *("-p", "pools_governing", "--outcomes", outcomes, *options, *SUITE),
            ],
            cwd=sources,
            env={**os.environ, "PYTHONPATH": str(_SCRIPTS)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_TIMEOUT_S,
        )
        if not outcomes.exists():
            raise RuntimeError(f"pytest did not finish:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        told = json.loads(outcomes.read_text())
        closing = [line for line in done.stdout.splitlines() if " passed" in line or " failed" in line]
        line = closing[-1].strip("= ") if closing else ""
        return Run(told["outcomes"], told["governed"], line, done.stdout)


def fetched(library_version: str, cache: Path) -> Path:
    """The sources of one version, downloaded once; complete or not there at all."""
    home = cache / f"sqlalchemy-{library_version}"
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _fetch(library_version, Path(folder)).rename(home)
    return home


def _fetch(library_version: str, folder: Path) -> Path:
    """Pip knows where packages come from; it is taken from a throw-away venv, since this one may lack it."""
    venv.create(folder / "pip", with_pip=True)
    pip = [folder / "pip" / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wanted = ["--no-deps", "--no-binary", "sqlalchemy", "--dest", folder, f"sqlalchemy=={library_version}"]
    subprocess.run([*pip, "download", *wanted], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.glob("[sS][qQ][lL]*") if path.is_dir())


def _cache_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickspan" / "upstream"


if __name__ == "__main__":
    sys.exit(main())
