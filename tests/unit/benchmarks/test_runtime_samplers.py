"""What samplers cost, as a report tells it; and the profilers that look on from outside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pipeline.figures import Tail
from benchmarks.runtime import outside, workload
from benchmarks.runtime.samplers import CONTENDERS, NOTHING, OURS, own_share, section, slowdown
from benchmarks.sidebyside.lines import ChildError


def turn(wall_s: float, own_cpu_s: float = 0.0, samples: int = 10, share: int = 1) -> dict[str, Any]:
    return {"wall_s": wall_s, "own_cpu_s": own_cpu_s, "samples": samples, "share": share}


def turns_of(own: dict[str, Any]) -> dict[tuple[str, int], dict[int, dict[str, Any]]]:
    titles = [one.title for one in CONTENDERS if one.name in {NOTHING, OURS}]
    return {
        (title, threads): {0: turn(2.0) if title == NOTHING else own}
        for title in titles
        for threads in (1, 50)
    }


MISSING: dict[str, str] = dict.fromkeys(("py-spy", "austin", "pyinstrument", "cProfile"), "not here")
QUIET, LATE = Tail(1e4, 2e4, 3e4, 4e4, 0.0), Tail(1e4, 2e4, 9e4, 9e4, 0.0)


def test_time_is_told_as_a_multiple_of_the_same_rounds_and_of_as_much_work():
    turns = {(NOTHING, 1): {0: turn(2.0), 1: turn(1.0)}, ("cProfile", 1): {0: turn(1.0, share=5)}}
    assert slowdown(turns, "cProfile", 1) == [2.5]


def test_who_has_no_thread_and_no_process_of_its_own_has_no_share():
    turns = {("cProfile", 1): {0: {"wall_s": 1.0, "share": 5}}, ("py-spy, 10 Hz", 1): {0: turn(2.0, 0.03)}}
    assert (own_share(turns, "cProfile", 1), own_share(turns, "py-spy, 10 Hz", 1)) == ([], [0.015])


def test_a_sampler_within_its_budget_and_a_feed_within_its_range_meet_all_targets():
    told = section(turns_of(turn(2.1, 0.03)), {NOTHING: [QUIET, LATE], "tickspan, 10 Hz": [LATE]}, MISSING)
    assert [target.is_met for target in told.targets] == [True] * 5
    assert told.faults == ()


def test_a_sampler_beyond_its_budget_and_a_feed_that_is_late_meet_none():
    told = section(turns_of(turn(2.0, 0.04)), {NOTHING: [QUIET, QUIET], "tickspan, 10 Hz": [LATE]}, MISSING)
    assert [target.is_met for target in told.targets] == [False] * 5


def test_a_sampler_that_never_looked_is_a_fault():
    told = section(turns_of(turn(2.0, samples=0)), {NOTHING: [QUIET], "tickspan, 10 Hz": [QUIET]}, MISSING)
    assert "samplers: tickspan, 10 Hz, 50 threads: no look in round 1" in told.faults


def test_a_program_that_cannot_run_here_is_missing_with_its_own_words(tmp_path: Path):
    program = tmp_path / "austin"
    program.write_text('#!/bin/sh\necho "$0: a library is too old" >&2\nexit 1\n')
    program.chmod(0o755)
    assert outside.lacking(program) == "a library is too old"
    assert outside.lacking(tmp_path / "py-spy") == "No such file or directory"
    assert outside.lacking(Path(sys.executable)) == ""


def test_a_profiler_that_may_not_look_is_told_with_its_last_words(tmp_path: Path):
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\necho Permission denied\nexit 1\n")
    program.chmod(0o755)
    with (
        pytest.raises(ChildError, match="Permission denied"),
        outside.looking(tmp_path, "py-spy", 1, 10.0) as _,
    ):
        pytest.fail("it has ended")


def test_the_work_is_done_in_as_many_threads_as_wanted_and_takes_time():
    came = workload.worked(3, 300)
    assert set(came) == {"wall_s", "cpu_s"}
    assert came["wall_s"] > 0
