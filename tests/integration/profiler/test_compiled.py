"""Links of samples to spans, with `snapshot` compiled into a folder of its own, and interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tickspan_spool

import tickspan

pytestmark = pytest.mark.integration

PROGRAM = (Path(__file__).parent / "linked_program.py").read_text()


@pytest.mark.parametrize("tasks", ["lazy", "eager", "uvloop"])
def test_every_sample_within_a_span_has_that_span_and_no_other(compiled: Path, tasks: str):
    if tasks == "eager" and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    path = os.pathsep.join([str(compiled), str(Path(str(tickspan_spool.__file__)).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, tasks], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    form, within, linked, wrong = ended.stdout.split()
    assert (form, wrong) == ("compiled", "0")
    assert int(within) > 100
    assert int(linked) >= 0.99 * int(within)


@pytest.mark.parametrize("tasks", ["lazy", "eager", "uvloop"])
def test_interpreted_no_link_is_wrong(tasks: str):
    if tasks == "eager" and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    path = os.pathsep.join(str(Path(str(one.__file__)).parents[1]) for one in (tickspan, tickspan_spool))
    environment = {**os.environ, "PYTHONPATH": path, "TICKSPAN_PURE": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, tasks], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    form, within, linked, wrong = ended.stdout.split()
    assert (form, wrong) == ("interpreted", "0")
    assert int(within) > 100
    assert (int(linked) > 20) is (tasks == "lazy")
