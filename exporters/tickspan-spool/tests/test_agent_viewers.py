"""Viewers beside destinations: an agent, applications, a collector and who looks on, as processes."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool import agent
from tickspan_spool.identity import process_state
from tickspan_spool.ledger import Ledger
from tickspan_spool.liaison import AgentPlaces, holder
from tickspan_spool.liaison.launch import ensure
from tickspan_spool.receiver import Batch, Receiver
from tickspan_spool.viewers import Viewer, register, this_process, unregister, viewers

pytestmark = pytest.mark.integration

_APP = Path(__file__).with_name("agent_app.py")
_PATIENCE_S = 20.0
_NAME = "0123456789abcdef"
_NOWHERE = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}


class Seen:
    """What a receiver took."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    @property
    def spans(self) -> Counter[str]:
        return Counter(
            span.name
            for batch in self.batches
            if isinstance(batch.message, ExportTraceServiceRequest)
            for group in batch.message.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        )

    @property
    def events(self) -> list[str]:
        return [
            record.event_name
            for batch in self.batches
            if isinstance(batch.message, ExportLogsServiceRequest)
            for group in batch.message.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]

    def metrics(self, name: bytes) -> bool:
        return any(name in batch.body for batch in self.batches if batch.signal == "metrics")


@contextmanager
def _looking_on(directory: Path, name: str = _NAME) -> Generator[tuple[Seen, Viewer]]:
    seen = Seen()
    with Receiver(seen.batches.append) as receiver:
        viewer = this_process(name, receiver.endpoint)
        register(directory, viewer)
        yield seen, viewer
        unregister(directory, viewer)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A spool; whoever is its agent at the end of the test is killed, by its number."""
    directory = tmp_path / "spool"
    yield directory
    found = holder(AgentPlaces.of(directory))
    if found is not None and found.pid:
        os.kill(found.pid, signal.SIGKILL)


def _wait(claim: Callable[[], object], seconds: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@contextmanager
def _app(
    directory: Path, count: int, environ: Mapping[str, str], name: str = "bot"
) -> Generator[subprocess.Popen[str]]:
    """Everything is recorded, and it lives until the block ends."""
    settings = {"TICKSPAN_SPOOL_DIR": str(directory), "OTEL_SERVICE_NAME": name, "TICKSPAN_AGENT_STOP_S": "2"}
    with subprocess.Popen(
        [sys.executable, str(_APP), str(count), "wait"],
        env={**os.environ, **settings, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        yield process
        process.communicate(timeout=10)


def _names(count: int, name: str = "bot") -> Counter[str]:
    return Counter(f"{name} {number}" for number in range(count))


def test_an_application_without_destination_is_shown_and_its_recorder_stays(directory: Path):
    with _app(directory, 50, _NOWHERE), _looking_on(directory) as (seen, _):
        ensure(AgentPlaces.of(directory))
        _wait(lambda: seen.spans.total() >= 50)
        with _app(directory, 20, _NOWHERE, "second"):
            _wait(lambda: seen.spans.total() >= 70)
        status = agent.status(directory)
        kept = [process.service_name for process in status.processes if process.is_alive and process.pid]
    assert seen.spans == _names(50) + _names(20, "second")
    assert ("bot" in kept, status.signals["traces"].delivered) == (True, 0)


def test_an_application_with_a_destination_is_shown_too_and_its_account_is_the_same(directory: Path):
    collected = Seen()
    with Receiver(collected.batches.append) as collector, _looking_on(directory) as (seen, _):
        with _app(directory, 300, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}):
            assert agent.drain(directory, _PATIENCE_S)
            _wait(lambda: seen.spans.total() >= 300)
        _wait(
            lambda: [process for process in agent.status(directory).processes if not process.is_agent] == []
        )
        ledger = agent.status(directory).signals["traces"]
    assert (collected.spans, seen.spans, ledger) == (_names(300), _names(300), Ledger(300, 300))


def test_a_dead_application_is_shown_whole_before_it_is_forgotten(directory: Path):
    with _app(directory, 2_000, _NOWHERE) as process:
        process.kill()
    with _looking_on(directory) as (seen, _):
        ensure(AgentPlaces.of(directory))
        _wait(lambda: [one for one in agent.status(directory).processes if not one.is_agent] == [])
        _wait(lambda: seen.events)
    assert (seen.spans, seen.events) == (_names(2_000), ["tickspan.process_died"])


def test_each_of_two_viewers_sees_everything_once(directory: Path):
    with (
        _looking_on(directory) as (first, _),
        _looking_on(directory, "f" * 16) as (second, _),
        _app(directory, 100, _NOWHERE),
    ):
        ensure(AgentPlaces.of(directory))
        _wait(lambda: first.spans.total() >= 100 and second.spans.total() >= 100)
    assert (first.spans, second.spans) == (_names(100), _names(100))


def test_a_viewer_that_comes_again_under_its_name_is_not_shown_the_same_again(directory: Path):
    with _app(directory, 100, _NOWHERE):
        with _looking_on(directory) as (before, viewer):
            ensure(AgentPlaces.of(directory))
            _wait(lambda: before.spans.total() >= 100)
            acks = list(directory.glob(f"v1/*/traces-{_NAME}.ack"))
            _wait(lambda: any(path.read_bytes().strip(b"\0") for path in acks))
        assert viewers(directory) == []
        with _looking_on(directory) as (after, _), _app(directory, 10, _NOWHERE, "second"):
            _wait(lambda: after.spans.total() >= 10)
    assert (before.spans, after.spans, viewer.is_alive) == (_names(100), _names(10, "second"), True)


def test_a_viewer_that_was_killed_holds_up_nobody(directory: Path):
    dead = this_process("f" * 16, "http://127.0.0.1:9")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as viewer:
        state = process_state(viewer.pid)
        assert state is not None
        register(directory, replace(dead, pid=viewer.pid, start_time=state.start_time))
        collected = Seen()
        with Receiver(collected.batches.append) as collector:
            with _app(directory, 100, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}):
                _wait(lambda: collected.spans.total() >= 100)
                viewer.kill()
            _wait(lambda: [one for one in agent.status(directory).processes if not one.is_agent] == [])
    assert (collected.spans, list(directory.glob("v1/viewers/*"))) == (_names(100), [])


_TAP = """
from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding

class Tap:
    def __init__(self, home):
        pass

    def on_batch(self, batch):
        key = StreamKey("logs", batch.entries[0].stream.resource, b"")
        return [Finding(batch.process, key, b"\\x12\\x07\\x62\\x05found")]

    def tick(self, now_s):
        return None
"""


def test_taps_run_for_an_application_without_destination_while_somebody_looks_on(
    directory: Path, tmp_path: Path
):
    packages = tmp_path / "packages"
    (packages / "looker-1.dist-info").mkdir(parents=True)
    (packages / "looker-1.dist-info" / "METADATA").write_text("Name: looker\nVersion: 1\n")
    (packages / "looker-1.dist-info" / "entry_points.txt").write_text("[tickspan_tap]\nlook = looker:Tap\n")
    (packages / "looker.py").write_text(_TAP)
    environ = {**_NOWHERE, "APP_VIEWED_TAPS": "look"}
    with (
        pytest.MonkeyPatch.context() as patch,
        _app(directory, 5, environ),
        _looking_on(directory) as (seen, _),
    ):
        patch.setenv("PYTHONPATH", str(packages), prepend=os.pathsep)
        ensure(AgentPlaces.of(directory))
        _wait(lambda: seen.events)
        _wait(lambda: seen.metrics(b"tickspan.ledger.records"))
    assert (seen.events, seen.spans) == (["found"], _names(5))
