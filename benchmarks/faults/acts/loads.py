"""Acts of load: even, sudden, from many threads, with too few descriptors, under a clock that steps."""

from __future__ import annotations

import gc
import signal
import socket
import threading
import time
from typing import Any

from opentelemetry import _logs, metrics, trace

from .stage import Stage, act, give_descriptors_back, in_threads, step_clock, use_up_descriptors


@act
def steady(stage: Stage) -> None:
    """Records of each signal at an even rate."""
    stage.recorder.warm()
    stage.recorder.steadily(
        float(stage.settings.get("seconds", 2.0)), float(stage.settings.get("rate", 100.0))
    )


@act
def several(stage: Stage) -> None:
    """Some records, at once."""
    stage.recorder.warm()
    stage.recorder.several(int(stage.settings.get("count", 50)))


@act
def start_again(stage: Stage) -> None:
    """The program comes back and lives for longer than an agent's start may be put off."""
    stage.recorder.warm()
    time.sleep(6.0)


@act
def burst(stage: Stage) -> None:
    """Spans as fast as can be, then a moment of rest."""
    stage.recorder.warm()
    for _ in range(int(stage.settings["count"])):
        stage.recorder.span()
    time.sleep(float(stage.settings.get("rest", 0.0)))


@act
def threads(stage: Stage) -> None:
    """Many threads at once."""
    stage.recorder.warm()
    count = int(stage.settings.get("count", 50))
    in_threads(int(stage.settings["threads"]), lambda: stage.recorder.several(count))


@act
def short_threads(stage: Stage) -> None:
    """A thread per record, as some libraries do."""
    stage.recorder.warm()
    for _ in range(int(stage.settings.get("count", 300))):
        in_threads(1, stage.recorder.all_signals)


@act
def signal_handler(stage: Stage) -> None:
    """A signal handler records, in the middle of whatever the main thread is recording."""
    stage.recorder.warm()
    signal.signal(signal.SIGALRM, lambda _number, _frame: stage.recorder.span())
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for _ in range(2000):
        stage.recorder.span()
    signal.setitimer(signal.ITIMER_REAL, 0)


@act
def collected_by_gc(stage: Stage) -> None:
    """Spans end in `__del__`, wherever the collector happens to run."""
    stage.recorder.warm()

    class Ending:
        def __init__(self) -> None:
            self.itself = self
            self.span = stage.recorder.start()

        def __del__(self) -> None:
            stage.recorder.end(self.span)

    before = gc.get_threshold()
    gc.set_threshold(20, 5, 5)
    for _ in range(300):
        Ending()
        stage.recorder.span()
    gc.set_threshold(*before)
    gc.collect()


@act
def descriptors(stage: Stage) -> None:
    """No descriptor is left for a while."""
    stage.recorder.warm()
    stage.recorder.several(20)
    use_up_descriptors()
    stage.recorder.steadily(1.0, 100)
    give_descriptors_back()
    stage.recorder.several(20)


@act
def flushes(stage: Stage) -> None:
    """`force_flush` with a short timeout returns in time, whoever is down; from several threads, too."""
    stage.recorder.warm()
    stage.recorder.several(20)
    providers: list[Any] = [
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ]

    def flush() -> None:
        for provider in providers:
            begun = time.monotonic()
            stage.recorder.call("force_flush", provider.force_flush, 200)
            if (took := time.monotonic() - begun) > 0.2 + 0.3:
                stage.ledger.note("note", f"force_flush(200) of {type(provider).__name__} took {took:.1f} s")

    flush()
    in_threads(4, flush)


@act
def clock_steps(stage: Stage) -> None:
    """The wall clock is set while records are made; durations must stay sensible."""
    stage.recorder.warm()
    for offset in stage.settings["offsets"]:
        span: Any = stage.recorder.start()
        step_clock(float(offset))
        stage.recorder.steadily(0.4, 100)
        stage.recorder.end(span)
        if (taken_s := _duration_s(span)) is not None and not 0.2 < taken_s < 5.0:
            stage.ledger.note("note", f"a span of 0.4 s lasted {taken_s:.1f} s after a step of {offset} s")


def _duration_s(span: Any) -> float | None:
    begun, ended = getattr(span, "start_time", None), getattr(span, "end_time", None)
    return (ended - begun) / 1e9 if begun and ended else None


@act
def fat_spans(stage: Stage) -> None:
    """Spans of many KiB: a batch of them is larger than servers like."""
    stage.recorder.warm()
    text = "x" * 1000
    attributes = {f"work.field{index}": text for index in range(100)}
    for _ in range(int(stage.settings.get("count", 60))):
        stage.recorder.span("fat", attributes)


@act
def child_process_is_ours(stage: Stage) -> None:
    """An application that waits for its children must never meet one that telemetry has started."""
    import os

    stage.recorder.warm()
    stage.recorder.several(20)
    time.sleep(0.5)
    try:
        stage.ledger.note("note", f"os.wait() returned a child that is not the application's: {os.wait()}")
    except ChildProcessError:
        return


@act
def other_sockets(stage: Stage) -> None:
    """The application closes all descriptors it does not know, then opens sockets of its own."""
    import os

    stage.recorder.warm()
    time.sleep(
        float(stage.settings.get("calm", 1.0))
    )  # a library in the middle of a call would be hit by chance
    os.closerange(3, 256)
    stage.ledger.open()
    pairs = [socket.socketpair() for _ in range(10)]
    stage.recorder.several(50)
    time.sleep(0.5)
    for end in (end for pair in pairs for end in pair):
        _is_untouched(stage, end)


def _is_untouched(stage: Stage, end: socket.socket) -> None:
    try:
        end.setblocking(False)  # noqa: FBT003 - the library's
        stage.ledger.note(
            "note", f"the application's socket got {end.recv(60)!r} from telemetry, or was closed by it"
        )
    except BlockingIOError:
        pass
    except OSError as error:
        stage.ledger.note("note", f"telemetry closed the application's socket: {error}")


@act
def many_series(stage: Stage) -> None:
    """A counter with an attribute of high cardinality; the neighbours still count."""
    stage.recorder.warm()
    counter = metrics.get_meter("faults").create_counter("work.orders")
    for number in range(5000):
        stage.recorder.call("add", counter.add, 1, {"work.order": f"order-{number}"})
    stage.recorder.several(20)


@act
def suppressed_thread_start(stage: Stage) -> None:
    """No thread can be started any more."""
    stage.recorder.warm()
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        del self
        raise RuntimeError("can't start new thread")

    threading.Thread.start = refuse
    stage.recorder.several(20)
    threading.Thread.start = start
    stage.recorder.several(20)
