"""Ways to fork: `python forks.py WAY` records in every process that it makes."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import witness


def _fork(child: Callable[[], object]) -> int:
    """A child that does its work and is gone, as a worker of a pre-fork server is."""
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    except Exception as error:  # noqa: BLE001 - the top of a process
        witness.note("failed", error=repr(error))
        os._exit(1)
    os._exit(0)


def _wait(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    witness.note("waited", status=os.waitstatus_to_exitcode(status))


def child_exits_at_once():
    witness.everything(10)
    pid = _fork(lambda: witness.everything(10))
    witness.everything(10)
    _wait(pid)


def child_returns():
    """The child goes on to the end of the program like its parent: its exit handlers run."""
    witness.spans(10)
    witness.count(100)
    pid = os.fork()
    witness.spans(10)
    if pid:
        _wait(pid)
    else:
        witness.count(1)


def child_lives_for_some_collections():
    """It is collected at the interval, ends at once, and so has no last collection."""
    witness.count(100)

    def child() -> None:
        witness.count(1)
        time.sleep(0.5)

    _wait(_fork(child))


def child_records_nothing():
    witness.spans(10)
    witness.count(100)
    _wait(_fork(lambda: None))


def three_generations():
    def generation(depth: int) -> None:
        witness.everything(5)
        if depth:
            _wait(_fork(lambda: generation(depth - 1)))
        witness.everything(5)

    generation(2)


def before_any_record():
    """As a server that loads the application and then forks."""
    for pid in [_fork(lambda: witness.everything(10)) for _ in range(3)]:
        _wait(pid)


def while_threads_record():
    is_over = threading.Event()

    def record() -> None:
        while not is_over.is_set():
            witness.everything(1)

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()
    for pid in [_fork(lambda: witness.everything(5)) for _ in range(15)]:
        _wait(pid)
    is_over.set()
    for thread in threads:
        thread.join()


def with_an_open_span():
    """Both end it: the same span of the same trace, told by the parent and by the child."""
    span = witness.tracer().start_span("open", attributes=witness.attributes_of(0))
    pid = _fork(lambda: (witness.spans(5), span.end()))
    _wait(pid)
    span.end()


def many_ids():
    """Short-lived children of one parent, whose generator each of them inherits."""
    for pid in [_fork(lambda: witness.spans(20)) for _ in range(10)]:
        _wait(pid)
    witness.spans(20)


def killed_child():
    pid = _fork(lambda: (witness.everything(10), os.kill(os.getpid(), 9)))
    _wait(pid)
    witness.everything(10)


def parent_ends_first():
    witness.spans(5)

    def child() -> None:
        _leave_standard_streams()
        while os.getppid() == parent:
            time.sleep(0.01)
        witness.everything(10)

    parent = os.getpid()
    _fork(child)


def _leave_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def becomes_a_daemon():
    """Fork, new session, fork, close everything, work on."""
    witness.everything(5)

    def second() -> None:
        os.setsid()
        _fork(third)

    def third() -> None:
        os.chdir("/")
        os.closerange(0, 1024)
        os.open(os.devnull, os.O_RDWR)
        os.dup2(0, 1)
        os.dup2(0, 2)
        victims = [
            os.open(os.environ["EVIDENCE"] + f".{number}", os.O_RDWR | os.O_CREAT) for number in range(8)
        ]
        witness.everything(10)
        witness.note("daemon", descriptors=len(victims))

    _wait(_fork(second))


def processes():
    """`multiprocessing.Process`, by the start method in `sys.argv`."""
    witness.spans(5)
    witness.count(100)
    method: Any = multiprocessing.get_context(sys.argv[2])
    children = [method.Process(target=_task, args=(10,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        witness.note("waited", status=child.exitcode)
    witness.spans(5)


def pool():
    """`ProcessPoolExecutor`, by the start method in `sys.argv`."""
    witness.spans(5)
    witness.count(100)
    context: Any = multiprocessing.get_context(sys.argv[2])
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(_task, [10] * 4))


def terminated_pool():
    """`multiprocessing.Pool`, whose context manager terminates its workers."""
    with multiprocessing.get_context("fork").Pool(2) as workers:
        workers.map(_task, [10] * 4)


def _task(number: int) -> int:
    witness.start()  # a new interpreter has to; a forked one is told the settings it has
    witness.spans(number)
    witness.logs(number)
    witness.count(1)
    return number


def subprocesses():
    """A program that knows nothing of telemetry but its API."""
    witness.spans(5)
    subprocess.run([sys.executable, __file__, "leaf"], check=True)


def leaf():
    witness.spans(5)
    witness.note("leaf", parent=os.getppid())


if __name__ == "__main__":
    if os.environ.get("LAUNCHED") != "1":
        witness.start()
    globals()[sys.argv[1]]()
