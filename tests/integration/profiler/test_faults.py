"""What happens to a program under the sampler that does what programs rarely do: nothing."""

from __future__ import annotations

import sys

import pytest

from .conftest import Run

pytestmark = pytest.mark.integration

BEGIN = """
import os, sys, threading, time
from tickspan.profiler.sampler import Sampler

def until(holds, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.001)
    return holds()

def spin(stop):
    while not stop():
        sum(range(200))

usual_s = sys.getswitchinterval()
over = threading.Event()
sampler = Sampler(500, 1.0)
"""

FORKS = (
    BEGIN
    + """
threading.Thread(target=spin, args=(over.is_set,)).start()
sampler.start()
told = set()
for number in range(20):
    before = sampler.statistics().passes
    until(lambda: sampler.statistics().passes > before)
    time.sleep(number * 0.0005)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        threading.Thread(target=spin, args=(over.is_set,), daemon=True).start()
        looks = until(lambda: sampler.statistics().passes > 2)
        sampler.stop()
        os.write(writer, repr((looks, sampler.is_running, sys.getswitchinterval() == usual_s)).encode())
        os._exit(0)
    os.close(writer)
    told.add(os.read(reader, 100).decode())
    os.close(reader)
    os.waitpid(child, 0)
over.set()
sampler.stop()
print(*told, sys.getswitchinterval() == usual_s)
"""
)

EXITS = (
    BEGIN
    + """
import atexit
atexit.register(print, "bye")
threading.Thread(target=spin, args=(lambda: False,), daemon=True).start()
sampler = Sampler(1_000, 1.0)
sampler.start()
until(lambda: sampler.statistics().passes > 5)
print("end")
"""
)

CRITICAL = (
    BEGIN
    + """
from tickspan.recording.sections import sections
sampler.start()
until(lambda: sampler.statistics().passes > 2)
era = sections().enter()
before = sampler.statistics().passes
left_at = time.perf_counter() + 0.3
while time.perf_counter() < left_at:
    sum(range(50))
within = sampler.statistics().passes - before
sections().leave(era)
print(within, sampler.statistics().silent > 0, until(lambda: sampler.statistics().passes > before))
sampler.stop()
"""
)

GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, logging
logging.basicConfig(format="%(message)s")
from tickspan.profiler.sampler import Sampler
sampler = Sampler(100)
sampler.start()
gevent.sleep(0.05)
print(sampler.is_running, sampler.statistics().passes)
sampler.stop()
"""

SUBINTERPRETER = (
    BEGIN
    + """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
print("main", flush=True)
code = '''
try:
    from tickspan.profiler.sampler import Sampler
except ImportError:
    print("False 0", flush=True)  # a module of C that OpenTelemetry needs is not for subinterpreters
else:
    sampler = Sampler(100)
    sampler.start()
    print(sampler.is_running, sampler.statistics().passes, flush=True)
'''
interpreter = interpreters.create()
interpreters.run_string(interpreter, code)
os._exit(0)  # what other modules of C do when interpreters end is not the matter
"""
)

PLANNED = (
    BEGIN
    + """
from tickspan import memory, profiler
profiler.start("continuous", hz=100, cpu_budget=1.0)
plan = memory.optimize_for_high_frequency_trading()
print(profiler.set_sample_rate(200.0), profiler.set_sample_rate(4.0), profiler.set_sample_rate(100.0))
passes = profiler.get_profiler().statistics().passes
time.sleep(1.0)
print(profiler.get_profiler().statistics().passes - passes <= 15)
plan.revert()
print(profiler.set_sample_rate(100.0))
profiler.stop()
"""
)

FOREIGN = (
    BEGIN
    + """
import ctypes
libc = ctypes.CDLL(None)
thread, asleep = ctypes.c_ulong(), ctypes.cast(libc.pause, ctypes.c_void_p)
assert libc.pthread_create(ctypes.byref(thread), None, asleep, None) == 0
sampler.start()
until(lambda: sampler.statistics().passes > 20)
sampler.stop()
print({sample.thread for sample in sampler.profile().samples}, len(os.listdir("/proc/self/task")) > 1)
os._exit(0)
"""
)


def test_a_child_that_is_forked_between_two_looks_samples_anew_and_never_waits(sampled: Run):
    ended = sampled(FORKS)
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert ended.stdout == "(True, False, True) True\n"


@pytest.mark.parametrize("_turn", range(3))
def test_a_program_that_ends_while_it_is_sampled_ends(sampled: Run, _turn: int):
    ended = sampled(EXITS)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("end\nbye\n", "", 0)


def test_nothing_is_looked_at_in_a_critical_section_and_looks_go_on_after_it(sampled: Run):
    ended = sampled(CRITICAL)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("0 True True\n", "", 0)


def test_under_the_patches_of_gevent_nothing_is_sampled_and_the_program_is_told(sampled: Run):
    pytest.importorskip("gevent", reason="gevent is not installed")
    ended = sampled(GEVENT)
    assert (ended.stdout, ended.returncode) == ("False 0\n", 0)
    assert "threads are greenlets here" in ended.stderr


def test_in_a_subinterpreter_nothing_is_sampled(sampled: Run):
    ended = sampled(SUBINTERPRETER)
    assert (ended.stdout, ended.returncode) == ("main\nFalse 0\n", 0)


def test_the_plan_for_high_frequency_trading_keeps_looks_to_ten_a_second(sampled: Run):
    ended = sampled(PLANNED)
    assert (ended.stdout, ended.returncode) == ("10.0 4.0 10.0\nTrue\n100.0\n", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the tasks of the kernel")
def test_a_thread_that_never_runs_python_has_no_samples(sampled: Run):
    ended = sampled(FOREIGN)
    assert (ended.stdout, ended.stderr) == ("{'MainThread'} True\n", "")
