"""Acts of ending: each way out of a process."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
import time
from typing import Any

from opentelemetry import _logs, metrics, trace

from .stage import Stage, act


def _prepared(stage: Stage) -> None:
    stage.recorder.warm()
    stage.recorder.several(int(stage.settings.get("count", 40)))
    stage.recorder.steadily(float(stage.settings.get("seconds", 0.0)), 100)


def _over(stage: Stage) -> None:
    """The program's work is over; what comes next ends it."""
    stage.recorder.settle()
    stage.ledger.end_of_main()


@act
def end_normally(stage: Stage) -> None:
    """Falls off the end."""
    _prepared(stage)


@act
def end_by_exception(stage: Stage) -> None:
    """An exception that nobody catches."""
    _prepared(stage)
    _over(stage)
    raise RuntimeError("the application's own")


@act
def end_by_sys_exit(stage: Stage) -> None:
    """With a status."""
    _prepared(stage)
    _over(stage)
    sys.exit(3)


@act
def end_by_os_exit(stage: Stage) -> None:
    """No handler runs."""
    _prepared(stage)
    _over(stage)
    os._exit(4)


@act
def end_by_signal(stage: Stage) -> None:
    """A signal with its default action, or Python's own handler."""
    _prepared(stage)
    _over(stage)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # inherited, as from `nohup`
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), getattr(signal, stage.settings["signal"]))
    time.sleep(5.0)


@act
def end_by_handled_sigterm(stage: Stage) -> None:
    """The application's handler exits in order."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    _prepared(stage)
    _over(stage)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5.0)


@act
def end_by_fault(stage: Stage) -> None:
    """The interpreter itself crashes."""
    _prepared(stage)
    _over(stage)
    ctypes.string_at(0)


@act
def end_by_abort(stage: Stage) -> None:
    """A library aborts."""
    _prepared(stage)
    _over(stage)
    os.abort()


@act
def end_by_exec(stage: Stage) -> None:
    """The process becomes another program, which records, too, under the same pid."""
    _prepared(stage)
    stage.recorder.settle()
    following = [sys.executable, "-m", "faults.work", stage.contender, "several", '{"count": 20}']
    os.execv(sys.executable, following)  # noqa: S606 - that is the case


@act
def end_with_daemon_threads(stage: Stage) -> None:
    """Daemon threads record until the interpreter is gone."""
    _prepared(stage)

    def forever() -> None:
        while True:
            stage.recorder.span()
            time.sleep(0.001)

    for _ in range(3):
        threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.2)


@act
def end_with_late_threads(stage: Stage) -> None:
    """Threads that outlive the main thread record while the interpreter waits for them."""
    _prepared(stage)

    def late() -> None:
        for _ in range(50):
            stage.recorder.span()
            time.sleep(0.005)

    for _ in range(2):
        threading.Thread(target=late).start()


@act
def end_with_atexit(stage: Stage) -> None:
    """Handlers record: one runs before telemetry's own; another, with `before_atexit`, after."""
    atexit.register(lambda: stage.recorder.several(10))
    _prepared(stage)


@act
def end_with_objects(stage: Stage) -> None:
    """A global object records when it is destroyed at the end of the interpreter."""
    _prepared(stage)

    class Last:
        def __del__(self) -> None:
            stage.recorder.span()

    sys.modules["faults_last"] = Last()  # pyright: ignore[reportArgumentType] - anything may stand there


@act
def shut_down_and_go_on(stage: Stage) -> None:
    """An explicit shutdown, twice, and records afterwards: not kept, but counted, and no error."""
    _prepared(stage)
    providers: list[Any] = [
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ]
    stage.recorder.settle()
    for _ in range(2):
        for provider in providers:
            stage.recorder.call("shutdown", provider.shutdown)
    for _ in range(20):
        stage.recorder.span()
        stage.recorder.log()


@act
def end_with_sudden_loss_of_memory(stage: Stage) -> None:
    """A `MemoryError` passes through and ends the program."""
    _prepared(stage)
    _over(stage)
    raise MemoryError
