"""Plans for the garbage collector in real programs: from settings, taken back when memory grows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tickspan.semconv import memory as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

STARTED = """
import gc, time
until = time.monotonic() + 20
while not gc.get_freeze_count() and time.monotonic() < until:
    time.sleep(0.01)
kept = [[number] for number in range(30_000)]
print(gc.get_threshold(), gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_a_setting_governs_a_program_that_knows_nothing_of_it(run: Callable[..., Any]) -> None:
    ended = run(
        *("tickspan", "run", "--", sys.executable, "-c", STARTED),
        TICKSPAN_MEMORY_OPTIMIZE="hft",
        TICKSPAN_MEMORY_WARM_UP_S="0.05",
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "(1000, 5, 1) True True\n", "")


GROWS = """
import gc, sys, time
import tickspan
from tickspan.memory import governor as module

tickspan.init()
module._REST_S = 0.3
governor = tickspan.memory.get_memory_optimizer()
thresholds = gc.get_threshold()
told = []
until = time.monotonic() + 60

def grow_until(is_so):
    while not is_so() and time.monotonic() < until:
        for _ in range(2_000):
            cycle = [bytearray(1_000)]
            cycle.append(cycle)
        time.sleep(0.002)

tickspan.memory.plan((10_000_000, 1_000, 1_000), freeze=False, max_growth_bytes=24 << 20)
grow_until(lambda: governor.current is None)
told.append((governor.reverts, gc.get_threshold() == thresholds))
while governor.current is None and time.monotonic() < until:
    time.sleep(0.01)
told.append((governor.reverts, gc.get_threshold()[0]))
grow_until(lambda: governor.current is None)
time.sleep(1.0)
told.append((governor.reverts, governor.current, gc.get_threshold() == thresholds))
print(told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells what is resident")
def test_a_plan_under_which_memory_grows_goes_comes_back_once_and_stays_away(
    run_python: Callable[..., Any],
) -> None:
    with OtlpServer() as server:
        ended = run_python(GROWS, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        server.wait_for(
            lambda server: sum(one.event_name == names.EVENT_GC_PLAN for one in server.logs()) == 4,
            timeout_s=20,
        )
        told: list[Any] = [
            (one.attributes[names.GC_PLAN_ACTION], str(one.attributes[names.GC_PLAN_REASON])[:19])
            for one in server.logs()
            if one.event_name == names.EVENT_GC_PLAN
        ]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "[(1, True), (1, 10000000), (2, None, True)]\n"
    gone, asked = ("reverted", "the process grew by"), ("applied", "asked for")
    assert told == [asked, gone, asked, gone]


SECTIONS = """
import gc, os, threading, time
import tickspan
from tickspan.memory import critical, report
from tickspan.recording.sections import depth

tickspan.init()
states = []

def inside(barrier, seconds):
    with critical(max_s=10.0):
        barrier.wait()
        with critical(max_s=10.0):
            states.append(gc.isenabled())
        time.sleep(seconds)

barrier = threading.Barrier(4)
threads = [threading.Thread(target=inside, args=(barrier, part / 50)) for part in range(4)]
[thread.start() for thread in threads]
while any(thread.is_alive() for thread in threads):
    time.sleep(0.001)
print(states, gc.isenabled(), depth())

gc.disable()
with critical():
    with critical():
        pass
print(gc.isenabled())
with critical(max_s=0.01):
    time.sleep(0.3)
print(gc.isenabled(), report().sections_aborted)
gc.enable()

try:
    with critical():
        raise LookupError
except LookupError:
    print(gc.isenabled(), depth())

entered, release = threading.Event(), threading.Event()

def holds():
    with critical(max_s=10.0):
        entered.set()
        release.wait(20)

holder = threading.Thread(target=holds)
holder.start()
entered.wait(20)
with critical(max_s=10.0):
    child = os.fork()
    if not child:
        inside_child = gc.isenabled(), depth()
if not child:
    with critical():
        again = gc.isenabled(), depth()
    os.write(1, f"child {inside_child} {again} {gc.isenabled()} {depth()}\\n".encode())
    os._exit(0)
os.waitpid(child, 0)
print(gc.isenabled(), depth())
release.set()
holder.join()
print(gc.isenabled(), depth())
"""


def test_sections_nest_in_threads_and_survive_exceptions_forks_and_a_collector_that_is_off(
    run_python: Callable[..., Any],
) -> None:
    ended = run_python(SECTIONS, PYTHONWARNINGS="ignore::DeprecationWarning")  # of forks with threads
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "[False, False, False, False] True 0",
        "False",
        "False 1",
        "True 0",
        "child (True, 0) (False, 1) True 0",
        "False 1",
        "True 0",
    ]
