"""Workers: how long they rest, what they say, and that they end when told."""

import logging
import threading

import pytest
from tickspan_spool.agent.worker import IDLE_S, Worker, WorkerStatistics, pause_s
from tickspan_spool.courier import Courier, Step


@pytest.mark.parametrize(
    ("step", "expected_s"),
    [
        (Step(is_idle=True), IDLE_S),
        (Step(delivered=3), IDLE_S),
        (Step(delivered=512, is_full=True), 0.0),
        (Step(delivered=512, is_full=True, wait_s=2), 2),
        (Step(is_stuck=True, wait_s=30), 30),
        (Step(is_stuck=True), 0.0),
    ],
)
def test_a_worker_rests_as_long_as_its_last_step_says(step: Step, expected_s: float):
    assert pause_s(step) == expected_s


class _Courier(Courier):
    """Gives scripted steps, then says so and is idle."""

    def __init__(self, *steps: Step | Exception) -> None:
        self._steps = iter(steps)
        self.is_through = threading.Event()

    def step(self) -> Step:
        step = next(self._steps, None)
        if isinstance(step, Exception):
            raise step
        if step is None:
            self.is_through.set()
            return Step(is_idle=True)
        return step


@pytest.fixture
def tireless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickspan_spool.agent.worker.IDLE_S", 0.001)
    monkeypatch.setattr("tickspan_spool.agent.worker._AFTER_A_FAULT_S", 0.001)


def _run(*steps: Step | Exception) -> WorkerStatistics:
    courier = _Courier(*steps)
    worker = Worker("traces to http://x", courier)
    worker.start()
    try:
        assert courier.is_through.wait(10)
    finally:
        worker.stop()
        assert worker.join(10)
    return worker.statistics()


@pytest.mark.usefixtures("tireless")
def test_a_worker_counts_what_became_of_its_batches():
    counted = _run(Step(512, is_full=True), Step(3, 2, explanation="2 of 5 records rejected"), Step(1))
    assert counted == WorkerStatistics(516, 2, last_trouble="2 of 5 records rejected")


@pytest.mark.usefixtures("tireless")
def test_the_same_trouble_is_told_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        counted = _run(*[Step(is_stuck=True, wait_s=0.001, explanation="refused")] * 3)
    assert counted == WorkerStatistics(last_trouble="refused")
    assert [record.getMessage() for record in caplog.records] == ["traces to http://x: refused"]


@pytest.mark.usefixtures("tireless")
def test_a_fault_of_ours_ends_nothing():
    counted = _run(ZeroDivisionError("x"), Step(1))
    assert counted == WorkerStatistics(1, last_trouble="ZeroDivisionError: x")
