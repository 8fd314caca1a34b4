"""Awkward surroundings: what a process may lack, what it may be, who may have died."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from pipeline_stage import Account, Audit, Stage, wait_until

pytestmark = pytest.mark.e2e

QUIET = (0, "", "")
LONGEST_EXIT_S = 2.5


def test_a_killed_agent_is_replaced_when_more_is_recorded(stage: Stage):
    with stage.running("awkward", "records_when_told") as process:
        assert process.stdin is not None
        _tell(process, stage, 1)
        stage.collector.wait_for(lambda _: len(stage.spans()) == 10)
        # One killed between a request and its acknowledgement would send that batch again, as it should.
        wait_until(lambda: stage.status().in_spool == 0, "everything is acknowledged")
        first = stage.agent_pid()
        stage.kill_agent()
        stage.as_if_a_minute_had_passed()
        _tell(process, stage, 2)
        stage.collector.wait_for(lambda _: len(stage.spans()) == 20)
        second = stage.agent_pid()
        process.communicate(timeout=10)
    assert process.returncode == 0
    assert first != second
    assert stage.audit() == Audit(spans=20, logs=20)


def test_an_agent_that_runs_is_no_child_of_the_program(stage: Stage):
    ended = stage.run("awkward", "looks_for_children")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert [(fact["found"], fact["waited"]) for fact in stage.notes("children")] == [(None, 0)]
    assert stage.audit() == Audit(spans=10, logs=10)


def _tell(process: subprocess.Popen[str], stage: Stage, times: int) -> None:
    assert process.stdin is not None
    process.stdin.write("10\n")
    process.stdin.flush()
    stage.await_notes("told", times)


@pytest.mark.parametrize("way", ["has_closed_streams", "has_no_directory"])
def test_a_process_without_streams_or_directory_records(stage: Stage, way: str):
    ended = stage.run("awkward", way)
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.audit() == Audit(spans=10, logs=10)


def test_without_a_writable_home_records_wait_in_memory_and_arrive(stage: Stage):
    ended = stage.run("awkward", "just_records", HOME="/proc", TICKSPAN_SPOOL_DIR="")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert len(ended.stderr.splitlines()) <= 1
    assert list(stage.await_count(10).values()) == [10]
    assert stage.audit() == Audit(spans=10, logs=10)


def test_without_a_writable_home_and_with_a_dead_collector_the_end_keeps_to_its_budget(dead_stage: Stage):
    ended = dead_stage.run("awkward", "just_records", HOME="/proc", TICKSPAN_SPOOL_DIR="")
    exit_s = time.monotonic() - dead_stage.notes("end")[0]["at_s"]
    assert (ended.returncode, ended.stdout) == (0, "")
    assert exit_s <= LONGEST_EXIT_S


def test_a_process_that_sends_from_its_own_thread_starts_no_agent(stage: Stage):
    ended = stage.run("awkward", "just_records", TICKSPAN_AGENT="thread")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert list(stage.await_count(10).values()) == [10]
    assert stage.status().agents == ()
    assert stage.audit() == Audit(spans=10, logs=10)


def test_a_process_that_sends_nothing_loses_nothing(stage: Stage):
    ended = stage.run("awkward", "just_records", TICKSPAN_AGENT="off")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert (stage.status().agents, stage.spans()) == ((), [])
    assert stage.account("traces") == Account(10, 0, 10, 0)
    stage.start_agent()
    assert stage.audit() == Audit(spans=10, logs=10)


def test_an_agent_that_runs_as_a_service_delivers(stage: Stage):
    with stage.running_command("tickspan", "agent", "run"):
        wait_until(lambda: bool(stage.status().agents), "the agent")
        ended = stage.run("awkward", "just_records", TICKSPAN_AGENT="external")
        assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
        assert list(stage.await_count(10).values()) == [10]
        assert len(stage.status().agents) == 1
        assert stage.audit() == Audit(spans=10, logs=10)


def test_a_process_that_expects_an_agent_starts_none(stage: Stage):
    ended = stage.run("awkward", "just_records", TICKSPAN_AGENT="external")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.status().agents == ()
    assert stage.account("traces") == Account(10, 0, 10, 0)


def test_an_embedded_interpreter_sends_from_its_own_thread(stage: Stage):
    ended = stage.run("awkward", "is_embedded")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.status().agents == ()
    assert list(stage.await_count(10).values()) == [10]
    assert stage.audit() == Audit(spans=10, logs=10)


_CAN_UNSHARE = shutil.which("unshare") is not None and os.geteuid() == 0
_FIRST = ("unshare", "--pid", "--fork", "--mount-proc")


@pytest.mark.skipif(not _CAN_UNSHARE, reason="a pid namespace needs root and util-linux")
def test_the_first_process_of_a_container_delivers_before_it_ends(stage: Stage):
    ended = stage.run_command(*_FIRST, *stage.command("awkward", "is_first_process"))
    exit_s = time.monotonic() - stage.notes("end")[0]["at_s"]
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert [fact["number"] for fact in stage.notes("pid")] == [1]
    assert exit_s <= LONGEST_EXIT_S
    assert (len(stage.spans()), len(stage.logs())) == (10, 10)
    assert stage.audit() == Audit(spans=10, logs=10)


@pytest.mark.skipif(not _CAN_UNSHARE, reason="a pid namespace needs root and util-linux")
def test_two_containers_that_share_a_spool_are_told_apart(dead_stage: Stage):
    """Everybody is process 1 there. What the first leaves behind, the second has delivered."""
    first = dead_stage.run_command(*_FIRST, *dead_stage.command("awkward", "is_first_process"))
    exit_s = time.monotonic() - dead_stage.notes("end")[0]["at_s"]
    assert (first.returncode, first.stdout, first.stderr) == QUIET
    assert exit_s <= LONGEST_EXIT_S
    dead_stage.collector.start()
    dead_stage.as_if_a_minute_had_passed()
    second = dead_stage.run_command(*_FIRST, *dead_stage.command("awkward", "is_first_process"))
    assert (second.returncode, second.stdout, second.stderr) == QUIET
    dead_stage.start_agent()
    assert dead_stage.audit() == Audit(spans=20, logs=20)


def test_the_agent_keeps_no_directory_and_no_stream_of_the_program(stage: Stage):
    assert stage.run("awkward", "just_records").returncode == 0
    process = Path(f"/proc/{stage.agent_pid()}")
    streams = {(process / "fd" / str(number)).readlink() for number in (0, 1, 2)}
    log = next((stage.spool / "v1" / "agents").glob("*.log"))
    assert ((process / "cwd").readlink(), streams) == (Path("/"), {Path("/dev/null"), log})
