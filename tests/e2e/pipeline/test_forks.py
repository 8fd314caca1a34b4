"""Each way to fork: every process records for itself, nothing twice, nothing lost, nobody hangs."""

import pytest
from pipeline_stage import Audit, Stage

pytestmark = pytest.mark.e2e

QUIET = (0, "", "")


def _instances(stage: Stage) -> dict[str, int]:
    """How many processes noted spans, and how many instances, of any signal, and ids arrived."""
    spans = stage.spans()
    told = [*spans, *stage.logs(), *stage.counters()]
    return {
        "processes": len({fact["pid"] for fact in stage.notes("traces")}),
        "instances": len({str(record.resource["service.instance.id"]) for record in told}),
        "spans": len({span.span_id for span in spans}),
        "traces": len({span.trace_id for span in spans}),
    }


def test_parent_and_child_both_record_and_the_child_ends_at_once(stage: Stage):
    ended = stage.run("forks", "child_exits_at_once")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.audit() == Audit(spans=30, logs=30)
    assert _instances(stage) == {"processes": 2, "instances": 2, "spans": 30, "traces": 30}


def test_a_child_starts_counting_at_zero(stage: Stage):
    """The parent has counted 100 and the child 1: that is 101 and never 201."""
    ended = stage.run("forks", "child_returns")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert sorted(stage.await_count(101).values()) == [1, 100]
    assert stage.audit() == Audit(spans=30)
    assert _instances(stage) == {"processes": 2, "instances": 2, "spans": 30, "traces": 30}
    starts = {point.start_ns for metric in stage.counters() for point in metric.points}
    assert len(starts) == 2


def test_a_child_that_ends_at_once_was_collected_at_the_interval(stage: Stage):
    ended = stage.run("forks", "child_lives_for_some_collections", OTEL_METRIC_EXPORT_INTERVAL="100")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert sorted(stage.await_count(101).values()) == [1, 100]


def test_a_child_that_records_nothing_tells_nothing_of_its_parent(stage: Stage):
    ended = stage.run("forks", "child_records_nothing", OTEL_METRIC_EXPORT_INTERVAL="100")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert list(stage.await_count(100).values()) == [100]
    assert stage.audit() == Audit(spans=10)


def test_three_generations_record(stage: Stage):
    ended = stage.run("forks", "three_generations")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.audit() == Audit(spans=30, logs=30)
    assert _instances(stage) == {"processes": 3, "instances": 3, "spans": 30, "traces": 30}


def test_children_record_when_their_parent_never_has(stage: Stage):
    ended = stage.run("forks", "before_any_record")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    stage.start_agent()
    assert stage.audit() == Audit(spans=30, logs=30)
    assert _instances(stage) == {"processes": 3, "instances": 3, "spans": 30, "traces": 30}


def test_no_child_hangs_when_other_threads_were_recording(stage: Stage):
    ended = stage.run("forks", "while_threads_record")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert [fact["status"] for fact in stage.notes("waited")] == [0] * 15
    assert stage.audit() == Audit(spans=len(stage.notes("traces")), logs=len(stage.notes("logs")))
    assert _instances(stage)["instances"] == 16


def test_ids_never_repeat_between_parent_and_children(stage: Stage):
    ended = stage.run("forks", "many_ids")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.audit() == Audit(spans=220)
    assert _instances(stage) == {"processes": 11, "instances": 11, "spans": 220, "traces": 220}


def test_a_span_that_was_open_at_the_fork_is_ended_by_both(stage: Stage):
    ended = stage.run("forks", "with_an_open_span")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    stage.collector.wait_for(lambda _: len(stage.spans()) == 7)
    twice = [span for span in stage.spans() if span.name == "open"]
    assert len({(span.trace_id, span.span_id) for span in twice}) == 1
    assert len({str(span.resource["service.instance.id"]) for span in twice}) == 2


def test_a_killed_child_loses_nothing(stage: Stage):
    ended = stage.run("forks", "killed_child")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert [fact["status"] for fact in stage.notes("waited")] == [-9]
    assert stage.audit() == Audit(spans=20, logs=20)


def test_a_child_outlives_its_parent(stage: Stage):
    ended = stage.run("forks", "parent_ends_first")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    stage.await_notes("traces", 15)
    stage.await_notes("logs", 10)
    assert stage.audit() == Audit(spans=15, logs=10)


def test_a_daemon_that_closed_all_descriptors_records_and_writes_into_no_file_of_others(stage: Stage):
    ended = stage.run("forks", "becomes_a_daemon")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    stage.await_notes("daemon")
    assert stage.audit() == Audit(spans=15, logs=15)
    victims = sorted(stage.folder.glob("evidence.*"))
    assert [victim.stat().st_size for victim in victims] == [0] * 8


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_record_and_are_counted_a_last_time(stage: Stage, method: str):
    ended = stage.run("forks", "processes", method)
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert sorted(stage.await_count(102).values()) == [1, 1, 100]
    assert stage.audit() == Audit(spans=30, logs=20)
    assert _instances(stage) == {"processes": 3, "instances": 3, "spans": 30, "traces": 30}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_process_pool_record_and_are_counted_a_last_time(stage: Stage, method: str):
    ended = stage.run("forks", "pool", method)
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert sum(stage.await_count(104).values()) == 104
    assert stage.audit() == Audit(spans=45, logs=40)


def test_workers_that_are_terminated_lose_nothing(stage: Stage):
    ended = stage.run("forks", "terminated_pool")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    stage.start_agent()
    assert stage.audit() == Audit(spans=40, logs=40)


def test_subprocesses_are_switched_on_when_asked_for(stage: Stage):
    launched = ["tickspan", "run", "--subprocesses", "--", *stage.command("forks", "subprocesses")]
    ended = stage.run_command(*launched, LAUNCHED="1")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    assert stage.audit() == Audit(spans=10)
    assert _instances(stage) == {"processes": 2, "instances": 2, "spans": 10, "traces": 10}


def test_subprocesses_are_left_alone_when_not_asked_for(stage: Stage):
    launched = ["tickspan", "run", "--", *stage.command("forks", "subprocesses")]
    ended = stage.run_command(*launched, LAUNCHED="1")
    assert (ended.returncode, ended.stdout, ended.stderr) == QUIET
    own = [fact["id"] for fact in stage.notes("traces") if fact["pid"] == stage.notes("leaf")[0]["parent"]]
    stage.collector.wait_for(lambda _: len(stage.spans()) >= 5)
    stage.end_agent()
    assert sorted(span.span_id for span in stage.spans()) == sorted(own)
