"""Acts of forking: each way to get another process."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .stage import Stage, act

_stage: Stage | None = None
"""For functions that a child finds by name."""


def _fork(child: Callable[[], object]) -> int:
    """Fork; the child does its work and is gone, as a worker of a pre-fork server is."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        child()
        status = 0
    finally:
        os._exit(status)


def _wait(stage: Stage, pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if status:
        stage.ledger.note("note", f"a child ended with status {os.waitstatus_to_exitcode(status)}")


def _work(stage: Stage, count: int = 30) -> None:
    stage.recorder.several(count)
    stage.recorder.settle()


@act
def fork(stage: Stage) -> None:
    """Parent and child record; the child ends by `os._exit`."""
    stage.recorder.warm()
    stage.recorder.several(30)
    pids = [_fork(lambda: _work(stage)) for _ in range(int(stage.settings.get("children", 1)))]
    stage.recorder.several(30)
    for pid in pids:
        _wait(stage, pid)


@act
def fork_and_return(stage: Stage) -> None:
    """The child returns from the program like the parent: all its exit handlers run."""
    stage.recorder.warm()
    stage.recorder.several(30)
    pid = os.fork()
    stage.recorder.several(30)
    if pid:
        _wait(stage, pid)


@act
def fork_before_records(stage: Stage) -> None:
    """A server preloads: nothing is recorded before it forks."""
    pids = [_fork(lambda: _work(stage)) for _ in range(3)]
    for pid in pids:
        _wait(stage, pid)


@act
def fork_while_recording(stage: Stage) -> None:
    """Other threads are in the middle of recording at each fork: no child may hang."""
    stage.recorder.warm()
    is_over = threading.Event()

    def record() -> None:
        while not is_over.is_set():
            stage.recorder.all_signals()

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        pid = _fork(lambda: _work(stage, 5))
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline and not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.01)
        if time.monotonic() >= deadline:
            stage.ledger.note("note", "a child hung")
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    is_over.set()
    for thread in threads:
        thread.join()


@act
def fork_in_generations(stage: Stage) -> None:
    """Child, grandchild, great-grandchild."""
    stage.recorder.warm()

    def generation(depth: int) -> None:
        stage.recorder.several(10)
        if depth:
            _wait(stage, _fork(lambda: generation(depth - 1)))
        stage.recorder.settle()

    _wait(stage, _fork(lambda: generation(2)))
    stage.recorder.several(10)


@act
def fork_with_open_span(stage: Stage) -> None:
    """A span is open at the fork and ended by both."""
    stage.recorder.warm()
    stage.recorder.several(10)
    span = stage.recorder.start()
    pid = _fork(lambda: _work(stage, 10))
    stage.recorder.end(span)
    _wait(stage, pid)


@act
def fork_killed_child(stage: Stage) -> None:
    """The child is killed after it has recorded."""
    stage.recorder.warm()
    stage.recorder.several(10)

    def child() -> None:
        stage.recorder.several(30)
        os.kill(os.getpid(), 9)

    os.waitpid(_fork(child), 0)
    stage.recorder.several(10)


@act
def fork_parent_ends_first(stage: Stage) -> None:
    """The parent ends while the child goes on."""
    stage.recorder.warm()
    stage.recorder.several(10)

    def child() -> None:
        _silence()
        stage.recorder.steadily(1.0, 50)
        stage.recorder.settle()

    _fork(child)


@act
def daemonise(stage: Stage) -> None:
    """The classic: fork, new session, fork, close everything, work on."""
    stage.recorder.warm()
    stage.recorder.several(10)

    def second() -> None:
        os.setsid()

        def third() -> None:
            os.chdir("/")
            os.closerange(0, 256)
            os.open(os.devnull, os.O_RDWR)
            os.dup2(0, 1)
            os.dup2(0, 2)
            stage.ledger.open()
            _work(stage)

        _fork(third)

    _wait(stage, _fork(second))


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _in_pool(count: int) -> int:
    """A task. With spawn and forkserver the process is new: it sets telemetry up as the program did."""
    stage = _stage or new_stage()
    stage.recorder.several(count)
    stage.recorder.settle()
    return count


def new_stage() -> Stage:
    """In a process that inherits nothing: telemetry set up anew, the ledger by its path."""
    global _stage
    from .. import telemetry  # noqa: TID252
    from ..outside import OutsideLedger  # noqa: TID252
    from ..recorder import Recorder  # noqa: TID252

    ledger = OutsideLedger(os.environ["FAULTS_LEDGER"])
    telemetry.set_up(os.environ["FAULTS_CONTENDER"])
    _stage = Stage(ledger, os.environ["FAULTS_CONTENDER"], {}, Recorder(ledger))
    return _stage


@act
def processes(stage: Stage) -> None:
    """`multiprocessing.Process`, by each start method."""
    global _stage
    stage.recorder.warm()
    stage.recorder.several(10)
    _stage = stage
    method: Any = multiprocessing.get_context(stage.settings["method"])
    children = [method.Process(target=_in_pool, args=(30,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(15.0)
        if child.exitcode != 0:
            stage.ledger.note("note", f"a child ended with {child.exitcode}")
    stage.recorder.several(10)


@act
def process_pool(stage: Stage) -> None:
    """`ProcessPoolExecutor`, by each start method."""
    global _stage
    stage.recorder.warm()
    _stage = stage
    context: Any = multiprocessing.get_context(stage.settings["method"])
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        done = list(pool.map(_in_pool, [10] * 6, timeout=15.0))
    if done != [10] * 6:
        stage.ledger.note("note", f"the pool returned {done}")


@act
def terminated_pool(stage: Stage) -> None:
    """`multiprocessing.Pool`, whose context manager terminates its workers."""
    global _stage
    stage.recorder.warm()
    _stage = stage
    context: Any = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        pool.map(_in_pool, [10] * 6)


@act
def child_program(stage: Stage) -> None:
    """A program of its own that records into the same spool at the same time."""
    stage.recorder.warm()
    command = [sys.executable, "-m", "faults.work", stage.contender, "several", '{"count": 30}']
    children = [subprocess.Popen(command) for _ in range(3)]
    stage.recorder.several(30)
    for child in children:
        child.wait(15.0)


@act
def gunicorn(stage: Stage) -> None:
    """Two preloaded workers that serve some requests and are told to end."""
    import http.client
    import signal

    stage.recorder.warm()
    stage.recorder.settle()
    port = int(stage.settings.get("port", 0)) or _free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}"]
    command += ["--max-requests", "20", "--log-level", "critical", "faults.acts.web:application"]
    server = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 8.0
    served = 0
    while served < 60 and time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
            connection.request("GET", "/")
            served += connection.getresponse().status == 200
        except OSError:
            time.sleep(0.05)
    server.send_signal(signal.SIGTERM)
    server.wait(10.0)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@act
def celery(stage: Stage) -> None:
    """A pre-forking worker of celery runs some tasks from a queue in files and is told to end."""
    import signal

    stage.recorder.warm()
    stage.recorder.settle()
    command = [sys.executable, "-m", "celery", "-A", "faults.acts.tasks", "-q"]
    worker = subprocess.Popen(
        [*command, "worker", "--pool", "prefork", "-c", "2", "-l", "CRITICAL", "--without-gossip"],
        cwd=Path(os.environ["FAULTS_LEDGER"]).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    from . import tasks

    for _ in range(10):
        tasks.record.delay(5)
    time.sleep(5.0)
    worker.send_signal(signal.SIGTERM)
    worker.wait(10.0)
