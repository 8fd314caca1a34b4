"""Programs print and write the same bytes with capture and without: output, callers, handlers, levels."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .programs import CAPTURED, PROGRAMS

pytestmark = pytest.mark.integration

_RUNNER = """
import atexit, runpy, sys
program, told = sys.argv[1:]
if told:
    from tickspan.config import LogSettings
    from tickspan.logs.capture import CAPTURE
    from tickspan.providers.logger import LoggerProvider
    from tickspan.testing.sink import MemorySink
    sink = MemorySink()
    CAPTURE.start(LoggerProvider(shutdown_on_exit=False, sink=sink), LogSettings(throttle=0))
    def tell():
        with open(told, "w") as file:
            file.write(f"{len(sink.entries)} {sum(CAPTURE.statistics().records.values())}")
    atexit.register(tell)
sys.argv[1:] = []
runpy.run_path(program, run_name="__main__")
"""
_NEEDS = {"loguru_intercepts": "loguru", "structlog_over_the_standard_library": "structlog"}
_IN_312 = {"filters_that_replace"}


class Run:
    """A program that runs in a folder of its own, whose path is not in what it prints."""

    def __init__(self, folder: Path, program: str, told: str) -> None:
        folder.mkdir()
        (folder / "program.py").write_text(program)
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER, "program.py", told],
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def written(self) -> dict[str, bytes]:
        """What it has printed, and the files that it has left."""
        out, err = self._process.communicate(timeout=60)
        folder = os.fsencode(self._folder)
        files = {path.name: path.read_bytes() for path in self._folder.iterdir() if path.is_file()}
        return {
            **files,
            "stdout": out.replace(folder, b"."),
            "stderr": err.replace(folder, b"."),
            "status": str(self._process.returncode).encode(),
        }


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_writes_the_same_bytes(name: str, tmp_path: Path):
    if name in _NEEDS and importlib.util.find_spec(_NEEDS[name]) is None:
        pytest.skip(f"{_NEEDS[name]} is not installed")
    if name in _IN_312 and sys.version_info < (3, 12):
        pytest.skip("filters may replace records from Python 3.12 on")
    told = tmp_path / "told"
    runs = [Run(tmp_path / "with", PROGRAMS[name], str(told)), Run(tmp_path / "without", PROGRAMS[name], "")]
    with_it, without = [run.written() for run in runs]
    assert with_it == without
    assert without["status"] == b"0", without["stderr"].decode()
    assert told.read_text() == f"{CAPTURED[name]} {CAPTURED[name]}"
