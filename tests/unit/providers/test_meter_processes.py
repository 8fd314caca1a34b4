"""Meter provider over the life of processes: fork, multiprocessing, exit. Each test starts programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("pure", ["0", "1"])]

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]

PRELUDE = '''
import json, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12, of what is tested: forks with threads
from opentelemetry.metrics import Observation
from opentelemetry.sdk.resources import Resource
from tickspan.providers import MeterProvider
from tickspan.testing.sink import MemorySink

class FileSink(MemorySink):
    """Each process keeps what it was given; `tell` writes it down."""

    def tell(self):
        with open(f"told.{os.getpid()}", "w") as file:
            for metric in self.telemetry().metrics:
                points = [[p.value, p.start_ns, dict(p.attributes)] for p in metric.points]
                line = [metric.name, points, metric.resource.get("service.instance.id")]
                print(json.dumps(line), file=file)

sink = FileSink()
os.register_at_fork(after_in_child=sink.clear)

def provider(**options):
    return MeterProvider(sink=sink, resource=Resource.create({"service.instance.id": "parent"}), **options)
'''


def told(folder: Path) -> list[list[Any]]:
    """What each process told, by its first line's time of start: the parent comes first."""
    processes = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("told.*")
    ]
    return sorted(processes, key=lambda lines: lines[0][1][0][1])


def test_a_forked_child_begins_at_zero_with_a_time_and_an_instance_of_its_own(
    run_python: RunPython, tmp_path: Path, pure: str
) -> None:
    done = run_python(
        PRELUDE
        + """
provider = provider(shutdown_on_exit=False)
counter = provider.get_meter("scope").create_counter("orders")
bound = counter.bind({"how": "bound"})
for _ in range(100):
    counter.add(1)
bound.add(100)
forked_at = time.time_ns()
pid = os.fork()
counter.add(1)
bound.add(1)
assert provider.collect()
sink.tell()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
print(forked_at)
""",
        TICKSPAN_PURE=pure,
    )
    assert (done.returncode, done.stderr) == (0, "")
    forked_at = int(done.stdout)
    ((parent,), (child,)) = told(tmp_path)
    assert [(value, attributes) for value, _, attributes in parent[1]] == [(101, {"how": "bound"}), (101, {})]
    assert [(value, attributes) for value, _, attributes in child[1]] == [(1, {}), (1, {"how": "bound"})]
    assert all(start > forked_at for _, start, _ in child[1])
    assert (parent[2], child[2] == parent[2]) == ("parent", False)


def test_a_fork_at_any_moment_leaves_a_child_that_records_and_collects(
    run_python: RunPython, tmp_path: Path, pure: str
) -> None:
    done = run_python(
        PRELUDE
        + """
sys.setswitchinterval(1e-5)
provider = provider(shutdown_on_exit=False)
meter = provider.get_meter("scope")
counter = meter.create_counter("orders")
def measure():
    while not over.is_set():
        counter.add(1, {"a": 1})
def collect():
    while not over.is_set():
        provider.collect()
def create():
    number = 0
    while not over.is_set():
        number += 1
        meter.create_counter(f"c{number % 50}")
over = threading.Event()
threads = [threading.Thread(target=target) for target in (measure, collect, create)]
for thread in threads:
    thread.start()
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        meter.create_counter("childs").add(1)
        counter.add(1, {"a": 1})
        os._exit(0 if provider.collect() else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
over.set()
for thread in threads:
    thread.join()
""",
        TICKSPAN_PURE=pure,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_is_collected_at_the_interval_too(run_python: RunPython, tmp_path: Path, pure: str) -> None:
    done = run_python(
        PRELUDE
        + """
provider = provider(shutdown_on_exit=False)
asked = threading.Event()
def observed(_options):
    asked.set()
    return [Observation(os.getpid())]
provider.get_meter("scope").create_observable_gauge("pid", [observed])
assert asked.wait(20)
pid = os.fork()
asked = threading.Event()
assert asked.wait(20)
if pid == 0:
    os._exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0
""",
        TICKSPAN_PURE=pure,
        OTEL_METRIC_EXPORT_INTERVAL="20",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_collected_when_they_end(
    run_python: RunPython, tmp_path: Path, pure: str, method: str
) -> None:
    (tmp_path / "worker.py").write_text(
        PRELUDE
        + """
provider = provider()
counter = provider.get_meter("scope").create_counter("orders")
def work(number):
    from multiprocessing import util
    util.Finalize(None, sink.tell, exitpriority=-1)  # after the provider's
    counter.add(number)
"""
    )
    done = run_python(
        f"""
import multiprocessing, sys
sys.path.insert(0, "")
import worker
if __name__ == "__main__":
    worker.counter.add(100)
    context = multiprocessing.get_context("{method}")
    children = [context.Process(target=worker.work, args=(number,)) for number in (1, 2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0, child.exitcode
    worker.provider.close()
    worker.sink.tell()
""",
        TICKSPAN_PURE=pure,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # From 3.13 on exit handlers run in such children, too: a cumulative value may be told twice.
    values = sorted({line[1][0][0] for line in process}.pop() for process in told(tmp_path))
    assert (values, [len({line[1][0][0] for line in one}) for one in told(tmp_path)]) == (
        [1, 2, 100],
        [1, 1, 1],
    )


def test_at_exit_there_is_a_last_collection_and_no_word(
    run_python: RunPython, tmp_path: Path, pure: str
) -> None:
    done = run_python(
        PRELUDE
        + """
import atexit
atexit.register(sink.tell)  # runs after the provider's
provider = provider()
provider.get_meter("scope").create_counter("orders").add(1)
atexit.register(lambda: provider.get_meter("scope").create_counter("late").add(1))
""",
        TICKSPAN_PURE=pure,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ((*lines,),) = told(tmp_path)
    assert [(name, points[0][0]) for name, points, _ in lines] == [("orders", 1), ("late", 1)]


def test_a_measurement_from_a_signal_handler_or_a_finaliser_does_no_harm(
    run_python: RunPython, tmp_path: Path, pure: str
) -> None:
    done = run_python(
        PRELUDE
        + """
provider = provider(shutdown_on_exit=False)
meter = provider.get_meter("scope")
counter, histogram = meter.create_counter("orders"), meter.create_histogram("latency")
interrupted = 0
def handle(*_):
    global interrupted
    interrupted += 1
    counter.add(1)
    histogram.record(1)
    provider.collect(50)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
ended = time.monotonic() + 1.5
number = 0
while time.monotonic() < ended:
    for _ in range(500):
        counter.add(1)
        histogram.record(1)
        number += 1
signal.setitimer(signal.ITIMER_REAL, 0)
sink.clear()
assert provider.collect()
sink.tell()
print(number + interrupted)
""",
        TICKSPAN_PURE=pure,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ((counted, _),) = told(tmp_path)
    assert counted[1][0][0] == int(done.stdout)
