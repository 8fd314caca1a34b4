"""Each way to end a process: what was recorded arrives once, unchanged; status and signals are Python's."""

import signal
import subprocess
import time

import pytest
from pipeline_stage import Account, Audit, Stage

pytestmark = pytest.mark.e2e

LONGEST_EXIT_S = 2.5


def test_a_program_that_falls_off_the_end_loses_nothing(stage: Stage):
    ended = stage.run("ends", "falls_off_the_end")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(stage.await_count(10).values()) == [10]
    assert stage.audit() == Audit(spans=10, logs=10)
    assert stage.account("traces") == Account(10, 10, 0, 0)
    assert stage.account("logs") == Account(10, 10, 0, 0)


def test_an_uncaught_exception_is_told_as_ever_and_loses_nothing(stage: Stage):
    ended = stage.run("ends", "raises")
    said = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout, said[0], said[-1]) == (
        1,
        "",
        "Traceback (most recent call last):",
        "RuntimeError: the application's own",
    )
    assert list(stage.await_count(10).values()) == [10]
    assert stage.audit() == Audit(spans=10, logs=10)


def test_a_status_is_handed_on_and_nothing_is_lost(stage: Stage):
    ended = stage.run("ends", "exits_with_3")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")
    assert list(stage.await_count(10).values()) == [10]
    assert stage.audit() == Audit(spans=10, logs=10)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["exits_at_once_with_4"], 4),
        (["is_signalled", "SIGTERM"], -signal.SIGTERM),
        (["is_signalled", "SIGHUP"], -signal.SIGHUP),
        (["is_signalled", "SIGKILL"], -signal.SIGKILL),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_an_end_at_once_loses_nothing_that_ended_before(stage: Stage, words: list[str], status: int):
    ended = stage.run("ends", *words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")
    stage.as_if_a_minute_had_passed()
    assert stage.run("ends", "falls_off_the_end").returncode == 0
    assert stage.audit() == Audit(spans=20, logs=20)


@pytest.mark.parametrize("mode", ["auto", "thread"])
def test_an_interrupt_ends_the_program_as_an_interrupt(stage: Stage, mode: str):
    ended = stage.run("ends", "is_signalled", "SIGINT", TICKSPAN_AGENT=mode)
    said = ended.stderr.splitlines()[-1:]
    assert (ended.returncode, ended.stdout, said) == (-signal.SIGINT, "", ["KeyboardInterrupt"])
    assert stage.audit() == Audit(spans=10, logs=10)


def test_the_applications_own_handler_of_sigterm_runs(stage: Stage):
    ended = stage.run("ends", "handles_sigterm", "SIGTERM")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "", "")
    assert stage.audit() == Audit(spans=10, logs=10)


def test_a_process_that_becomes_another_program_loses_nothing_of_either(stage: Stage):
    ended = stage.run("ends", "becomes_another")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert stage.audit() == Audit(spans=20, logs=20)
    assert len({fact["pid"] for fact in stage.notes("traces")}) == 1
    assert len({str(span.resource["service.instance.id"]) for span in stage.spans()}) == 2


def test_an_exit_in_a_thread_ends_the_thread_alone(stage: Stage):
    ended = stage.run("ends", "exits_in_a_thread")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert stage.audit() == Audit(spans=20, logs=10)


def test_an_exit_at_once_in_a_thread_loses_nothing(stage: Stage):
    ended = stage.run("ends", "exits_at_once_in_a_thread")
    assert (ended.returncode, ended.stdout, ended.stderr) == (5, "", "")
    stage.as_if_a_minute_had_passed()
    assert stage.run("ends", "falls_off_the_end").returncode == 0
    assert stage.audit() == Audit(spans=25, logs=20)


def test_daemon_threads_record_to_the_last_moment(stage: Stage):
    ended = stage.run("ends", "leaves_daemon_threads")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    audit = stage.audit()
    noted = len(stage.notes("traces"))
    at_most_three_ended_before_their_note = audit.unknown[3:]
    assert (audit.spans, audit.missing, audit.doubled, audit.changed) == (noted, (), (), ())
    assert at_most_three_ended_before_their_note == ()
    assert noted > 100


def test_threads_that_outlive_the_main_thread_are_heard(stage: Stage):
    ended = stage.run("ends", "leaves_threads")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(stage.await_count(20).values()) == [20]
    assert stage.audit() == Audit(spans=20, logs=20)


def test_exit_handlers_that_run_before_telemetrys_own_are_heard(stage: Stage):
    ended = stage.run("ends", "records_at_exit")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(stage.await_count(15).values()) == [15]
    assert stage.audit() == Audit(spans=15, logs=15)


def test_exit_handlers_that_run_after_telemetrys_own_are_heard(stage: Stage):
    ended = stage.run("ends", "falls_off_the_end", "before")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert stage.audit() == Audit(spans=15, logs=15)


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_moment_loses_nothing_that_ended_before(stage: Stage, seed: int):
    with stage.running("ends", "waits_to_be_killed") as process:
        stage.await_notes("traces", 20 + 300 * seed)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    audit = stage.audit()
    ended_before_their_notes = audit.unknown[2:]
    noted = (len(stage.notes("traces")), len(stage.notes("logs")))
    assert ((audit.spans, audit.logs), audit.missing, audit.doubled, audit.changed) == (noted, (), (), ())
    assert ended_before_their_notes == ()


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("falls_off_the_end", 0),
        ("raises", 1),
        ("shuts_down_first", 0),
    ],
)
def test_with_a_dead_collector_the_end_is_quick_and_all_arrives_at_the_next_start(
    dead_stage: Stage, way: str, status: int
):
    begun_s = time.monotonic()
    with dead_stage.running("ends", way) as process:
        process.communicate(timeout=30)
        exit_s = time.monotonic() - max((fact["at_s"] for fact in dead_stage.notes("end")), default=begun_s)
    assert process.returncode == status
    assert exit_s <= LONGEST_EXIT_S
    dead_stage.kill_agent()
    dead_stage.collector.start()
    dead_stage.as_if_a_minute_had_passed()
    assert dead_stage.run("ends", "falls_off_the_end").returncode == 0
    noted = Audit(spans=len(dead_stage.notes("traces")), logs=len(dead_stage.notes("logs")))
    counted = dead_stage.await_count(noted.spans)
    assert sorted(counted.values()) == [10, noted.spans - 10]
    assert dead_stage.audit() == noted


def test_with_a_dead_collector_and_no_agent_the_end_keeps_to_its_budget(dead_stage: Stage):
    ended = dead_stage.run("ends", "falls_off_the_end", TICKSPAN_AGENT="thread")
    ended_at_s = time.monotonic()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert ended_at_s - dead_stage.notes("end")[0]["at_s"] <= LONGEST_EXIT_S
    dead_stage.collector.start()
    dead_stage.as_if_a_minute_had_passed()
    assert dead_stage.run("ends", "falls_off_the_end").returncode == 0
    assert dead_stage.audit() == Audit(spans=20, logs=20)


def test_standard_output_is_closed_when_the_program_ends(stage: Stage):
    """`app | cat` ends with the program, whatever the agent does."""
    command = " ".join(Stage.command("ends", "falls_off_the_end"))
    ended = subprocess.run(
        ["sh", "-c", f"{command} 2>&1 | cat"],
        env=stage.environment(),
        cwd=stage.folder,
        capture_output=True,
        check=False,
        timeout=10,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert stage.agent_pid() > 0
    assert stage.audit() == Audit(spans=10, logs=10)
