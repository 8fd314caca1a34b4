"""Worker: the thread that serves one destination, awake only when there is something to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tickspan_spool.courier import Courier, Step

_LOGGER = logging.getLogger(__name__)

IDLE_S: Final = 5.0
"""A worker without anything to do looks by itself so often; the agent pokes it when there is something."""
_AFTER_A_FAULT_S: Final = 1.0
_TOLD_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What one worker did since it was made.

    Attributes:
        delivered: items that the receiver took.
        dropped: items that it did not and never will.
        is_stuck: a batch waits for its next attempt.
        trouble: what went wrong last; empty when the last attempt went well.
        last_trouble: the same, kept when things went well again.
    """

    delivered: int = 0
    dropped: int = 0
    is_stuck: bool = False
    trouble: str = ""
    last_trouble: str = ""


def pause_s(step: Step) -> float:
    """How long to rest after a step; a batch that was not full may wait for company."""
    if step.is_stuck or step.wait_s > 0:
        return step.wait_s
    return 0.0 if step.is_full else IDLE_S


class Worker:
    """Runs a courier until `stop`. Safe for any thread."""

    def __init__(self, label: str, courier: Courier, clock: Callable[[], float] = time.monotonic) -> None:
        self.courier: Final = courier
        self._label = label
        self._clock = clock
        self._wake = threading.Event()
        self._is_stopping = False
        self._tell_at_s = -1.0
        self._statistics = WorkerStatistics()
        self._thread = threading.Thread(target=self._run, name=f"tickspan-send-{label}", daemon=True)

    def __repr__(self) -> str:
        return f"<Worker {self._label}: {self._statistics.trouble or 'well'}>"

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when the system has none to give."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; a request under way is waited for by `join` only."""
        self._is_stopping = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False when it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Something changed, such as credentials: look at once."""
        self._wake.set()

    def poke(self) -> None:
        """There are records: wake up, unless a batch has to wait for its next attempt anyway."""
        if not self._statistics.is_stuck:
            self._wake.set()

    def statistics(self) -> WorkerStatistics:
        """The counters at this moment."""
        return self._statistics

    def _run(self) -> None:
        while not self._is_stopping:
            rest_s = pause_s(self._step())
            if rest_s > 0 and self._wake.wait(rest_s):
                self._wake.clear()

    def _step(self) -> Step:
        try:
            step = self.courier.step()
        except Exception as error:  # a thread's top: the next batch may be better
            _LOGGER.exception("sending to %s failed", self._label)
            step = Step(
                wait_s=_AFTER_A_FAULT_S, is_stuck=True, explanation=f"{type(error).__name__}: {error}"
            )
        if not step.is_idle or self._statistics.is_stuck:
            self._note(step)
        return step

    def _note(self, step: Step) -> None:
        was = self._statistics
        self._statistics = WorkerStatistics(
            was.delivered + step.delivered,
            was.dropped + step.dropped,
            step.is_stuck,
            step.explanation,
            step.explanation or was.last_trouble,
        )
        if step.explanation and (step.explanation != was.trouble or self._clock() >= self._tell_at_s):
            self._tell_at_s = self._clock() + _TOLD_EVERY_S
            _LOGGER.warning("%s: %s", self._label, step.explanation)
