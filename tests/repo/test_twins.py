"""The compiled twins: there where they are required, and of the same modules that are asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from tickspan_desk.store import Store
from tickspan_spool import spool, twins
from tickspan_spool.receiver import Receiver

from tickspan import recording
from tickspan.instrumentation import db
from tickspan.profiler import Profiler

HOT = re.compile(r"^HOT = \(([^)]*)\)", re.MULTILINE)


def hot_modules(setup: Path, package: str) -> set[str]:
    listed = HOT.search(setup.read_text())
    assert listed is not None
    return {f"{package}.{name}" for name in re.findall(r'"([^"]+)"', listed[1])}


def test_every_hot_module_is_chosen_by_the_same_rule(root: Path) -> None:
    assert None not in (recording.wire, spool.Spool, db.Teller, Profiler, Receiver, Store)
    asked_for = {twin.name for twin in twins.chosen()}
    assert asked_for == (
        hot_modules(root / "setup.py", "tickspan")
        | hot_modules(root / "exporters/tickspan-spool/setup.py", "tickspan_spool")
        | hot_modules(root / "exporters/tickspan-desk/setup.py", "tickspan_desk")
    )


@pytest.mark.skipif(
    os.environ.get("TICKSPAN_REQUIRE_EXT") != "1",
    reason="compiled twins are required with TICKSPAN_REQUIRE_EXT=1",
)
def test_twins_that_are_required_run() -> None:
    forced = "pure" if os.environ.get("TICKSPAN_PURE") == "1" else "compiled"
    assert twins.implementation() == forced


def test_the_source_can_be_forced() -> None:
    program = "import tickspan.recording\nfrom tickspan_spool import twins\nprint(twins.implementation())"
    environment = {**os.environ, "TICKSPAN_PURE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "pure\n"


def test_a_twin_that_is_older_than_its_source_is_not_used(tmp_path: Path) -> None:
    suffix = EXTENSION_SUFFIXES[0]
    package = tmp_path / "stale"
    (package / "_compiled").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "_compiled" / f"work{suffix}").write_bytes(b"")
    (package / "work.py").write_text("ANSWER = 42")
    os.utime(package / "_compiled" / f"work{suffix}", (1, 1))
    program = (
        "from tickspan_spool import twins\n"
        "print(twins.hot('stale', 'work').ANSWER, *(twin.reason for twin in twins.chosen()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TICKSPAN_PURE": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "42 the compiled twin of work is older than its source\n"
