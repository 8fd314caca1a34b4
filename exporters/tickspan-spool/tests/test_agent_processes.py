"""The agent as a process: started, killed, cut off, drained, between applications and a receiver."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tickspan_spool import agent
from tickspan_spool.ledger import Ledger
from tickspan_spool.liaison import AgentPlaces, holder
from tickspan_spool.receiver import Batch, Receiver, Response

pytestmark = pytest.mark.integration

_APP = Path(__file__).with_name("agent_app.py")
_PATIENCE_S = 15.0
_BATCH = 512


class Inbox:
    """What receivers took, and how the next requests are answered."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.answer: Callable[[Batch], Response | None] = lambda _batch: None
        self.has_some = threading.Event()

    def take(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.has_some.set()

    def decide(self, batch: Batch) -> Response | None:
        return self.answer(batch)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for batch in self.batches
            if isinstance(batch.message, ExportTraceServiceRequest)
            for group in batch.message.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    @property
    def names(self) -> Counter[str]:
        return Counter(span.name for span in self.spans)

    @property
    def events(self) -> list[tuple[str, str]]:
        """The service that a log event is about, and its name."""
        return [
            (group.resource.attributes[0].value.string_value, record.event_name)
            for batch in self.batches
            if isinstance(batch.message, ExportLogsServiceRequest)
            for group in batch.message.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def receiver(inbox: Inbox) -> Iterator[Receiver]:
    with Receiver(inbox.take, answer=inbox.decide) as receiver:
        yield receiver


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A spool; whoever is its agent at the end of the test is killed, by its number."""
    directory = tmp_path / "spool"
    yield directory
    for lock in (directory / "v1" / "agents").glob("*.lock"):
        _kill_agent(directory, lock.stem)


def _kill_agent(directory: Path, environment: str | None = None) -> None:
    places = AgentPlaces.of(directory, environment)
    found = holder(places)
    if found is not None and found.pid:
        os.kill(found.pid, signal.SIGKILL)
        _wait(lambda: holder(places) != found)


def _wait(claim: Callable[[], object], seconds: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class App:
    """Starts applications against one spool and one endpoint."""

    def __init__(self, directory: Path, endpoint: str) -> None:
        self._environ = {
            **os.environ,
            "TICKSPAN_SPOOL_DIR": str(directory),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "bot",
            "TICKSPAN_AGENT_STOP_S": "2",
        }

    def start(
        self, count: int, then: str, environ: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.Popen[str]:
        """Started, and everything is recorded."""
        process = subprocess.Popen(
            [python, str(_APP), str(count), then],
            env={**self._environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        return process

    def run(
        self, count: int, then: str, environ: Mapping[str, str] | None = None, command: Sequence[str] = ()
    ) -> str:
        """Run to its end; what it printed."""
        return subprocess.run(
            command or [sys.executable, str(_APP), str(count), then],
            env={**self._environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE_S * 2,
        ).stdout


@pytest.fixture
def app(directory: Path, receiver: Receiver) -> App:
    return App(directory, receiver.endpoint)


def _end(process: subprocess.Popen[str], number: int | None = None) -> None:
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=10)


def _kill(process: subprocess.Popen[str], directory: Path) -> None:
    """Once there is an agent: a process killed before that waits for the next one that starts an agent."""
    _wait(lambda: holder(AgentPlaces.of(directory)))
    _end(process, signal.SIGKILL)


def _names(service_name: str, count: int) -> Counter[str]:
    return Counter(f"{service_name} {number}" for number in range(count))


def test_a_killed_application_loses_nothing_and_its_death_is_told(app: App, inbox: Inbox, directory: Path):
    _kill(app.start(2_000, "wait"), directory)
    _wait(lambda: inbox.events)
    assert inbox.names == _names("bot", 2_000)
    assert inbox.events == [("bot", "tickspan.process_died")]
    assert agent.status(directory).signals["traces"] == Ledger(2_000, 2_000)


def test_a_span_of_a_killed_application_that_never_ended_is_ended(app: App, inbox: Inbox, directory: Path):
    _kill(app.start(1, "pending"), directory)
    _wait(lambda: inbox.names["open order"])
    (span,) = [span for span in inbox.spans if span.name == "open order"]
    told = [(attribute.key, attribute.value.bool_value) for attribute in span.attributes]
    assert (span.end_time_unix_nano > 0, told) == (True, [("tickspan.abandoned", True)])


def test_an_application_that_ends_in_order_is_gone_without_a_word(app: App, inbox: Inbox, directory: Path):
    app.run(100, "exit")
    _wait(lambda: not agent.status(directory).processes)
    assert (inbox.names, inbox.events) == (_names("bot", 100), [])
    assert agent.status(directory).signals["traces"] == Ledger(100, 100)


def test_what_was_recorded_while_the_collector_was_down_arrives(directory: Path, inbox: Inbox):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    App(directory, f"http://127.0.0.1:{port}").run(1_000, "exit")
    _wait(
        lambda: any(
            state.destinations and state.destinations[0].is_stuck for state in agent.status(directory).agents
        )
    )
    with Receiver(inbox.take, port=port):
        assert agent.drain(directory, _PATIENCE_S)
    assert inbox.names == _names("bot", 1_000)


def test_a_killed_agent_is_continued_and_doubles_one_batch_at_most(app: App, inbox: Inbox, directory: Path):
    def kill_after_the_second(_batch: Batch) -> Response | None:
        if len(inbox.batches) == 2:
            inbox.answer = lambda _batch: None
            _kill_agent(directory)
            AgentPlaces.of(directory).launching.unlink()  # nobody is to wait five seconds for the next start
        return None

    inbox.answer = kill_after_the_second
    _kill(app.start(3_000, "wait", {"OTEL_LOGS_EXPORTER": "none"}), directory)
    _wait(lambda: len(inbox.batches) >= 3)
    assert agent.drain(directory, _PATIENCE_S)
    assert set(inbox.names) == set(_names("bot", 3_000))
    assert inbox.names.total() - 3_000 <= _BATCH


def test_the_next_application_starts_an_agent_for_what_an_earlier_one_left(
    app: App, inbox: Inbox, directory: Path
):
    app.run(50, "exit", {"TICKSPAN_AGENT": "off"})
    left = agent.status(directory)
    app.run(50, "flush", {"OTEL_SERVICE_NAME": "other"})
    _wait(lambda: inbox.names.total() == 100)
    assert (left.agents, left.in_spool) == ((), 50)
    assert inbox.names == _names("bot", 50) + _names("other", 50)


def test_two_environments_have_an_agent_each_and_one_adopts_the_others_dead(
    app: App, inbox: Inbox, directory: Path, tmp_path: Path
):
    other = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(other)], check=True)
    packages = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    _end(app.start(10, "flush"))
    process = app.start(
        10, "wait", {**packages, "OTEL_SERVICE_NAME": "other"}, python=str(other / "bin" / "python")
    )
    _wait(lambda: len(agent.status(directory).agents) == 2 and inbox.names.total() == 20)
    environments = {state.environment for state in agent.status(directory).agents}
    (own,) = environments & {AgentPlaces.of(directory).environment}
    inbox.answer = lambda _batch: Response(503, {"Retry-After": "1"})
    (foreign,) = environments - {own}
    _kill_agent(directory, foreign)
    _end(process, signal.SIGKILL)
    _wait(lambda: all(not one.is_alive for one in agent.status(directory).processes))
    inbox.answer = lambda _batch: None
    _wait(lambda: ("other", "tickspan.process_died") in inbox.events)
    assert inbox.names == _names("bot", 10) + _names("other", 10)


def test_an_application_that_waits_for_any_child_finds_no_agent(app: App):
    told = json.loads(app.run(1, "reap").splitlines()[0])
    assert told == {"os.wait()": "nothing", "agent": True}


def test_a_pipe_behind_the_application_ends_with_it(app: App, directory: Path):
    printed = app.run(1, "exit", command=["sh", "-c", f"{sys.executable} {_APP} 1 reap | cat"])
    assert printed.splitlines()[-1] == "recorded"
    assert holder(AgentPlaces.of(directory)) is not None


def test_a_batch_that_is_too_large_is_halved_until_it_fits(app: App, inbox: Inbox):
    inbox.answer = lambda batch: Response(413) if batch.records > 100 else None
    assert app.run(1_000, "flush").splitlines() == ["recorded", "True"]
    assert inbox.names == _names("bot", 1_000)


def test_a_drain_that_takes_too_long_says_so(directory: Path):
    App(directory, "http://127.0.0.1:9").run(10, "exit")
    assert agent.drain(directory, 0.5) is False
    assert agent.status(directory).in_spool == 10


def test_a_stopped_agent_is_gone_with_its_socket_and_leaves_its_last_words(app: App, directory: Path):
    app.run(10, "flush")
    assert agent.stop(directory, _PATIENCE_S)
    places = AgentPlaces.of(directory)
    found = agent.status(directory)
    assert (holder(places), places.socket.exists(), found.agents) == (None, False, ())
    assert [(state.phase, state.destinations[0].delivered) for state in found.last_agents] == [
        ("stopping", 10)
    ]
    assert agent.stop(directory)


def test_an_agent_that_is_told_to_end_sends_what_is_left(app: App, inbox: Inbox, directory: Path):
    inbox.answer = lambda _batch: Response(503, {"Retry-After": "1"})
    process = app.start(700, "wait")
    _wait(lambda: holder(AgentPlaces.of(directory)))
    agent_of = holder(AgentPlaces.of(directory))
    assert agent_of is not None
    _wait(
        lambda: any(
            one.destinations and one.destinations[0].is_stuck for one in agent.status(directory).agents
        )
    )
    os.kill(agent_of.pid, signal.SIGHUP)
    inbox.answer = lambda _batch: None
    _wait(lambda: inbox.names.total() == 700)
    os.kill(agent_of.pid, signal.SIGTERM)
    _wait(lambda: holder(AgentPlaces.of(directory)) is None)
    _end(process)
    assert inbox.names == _names("bot", 700)


def test_an_agent_ends_when_nobody_has_lived_for_a_while(app: App, directory: Path):
    app.run(10, "flush", {"TICKSPAN_AGENT_LINGER_S": "0.5"})
    _wait(lambda: holder(AgentPlaces.of(directory)) is None)
    assert agent.status(directory).processes == ()


def test_an_agent_ends_when_nobody_lives_and_nobody_answers(directory: Path):
    App(directory, "http://127.0.0.1:9").run(10, "exit", {"TICKSPAN_AGENT_LINGER_S": "0.5"})
    _wait(lambda: holder(AgentPlaces.of(directory)))
    _wait(lambda: holder(AgentPlaces.of(directory)) is None)
    assert agent.status(directory).in_spool == 10


def test_a_loss_is_told_when_data_flows_again(app: App, inbox: Inbox):
    inbox.answer = lambda batch: Response(400) if batch.signal == "traces" else None
    _end(app.start(10, "flush", {"TICKSPAN_AGENT_BOUND_S": "0.2"}))
    _wait(lambda: inbox.events)
    assert inbox.events == [("bot", "tickspan.loss")]


def test_a_service_delivers_for_those_who_expect_one(app: App, inbox: Inbox, directory: Path):
    program = f"from tickspan_spool import agent; agent.run({str(directory)!r})"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as service:
        printed = app.run(10, "flush", {"TICKSPAN_AGENT": "external"})
        found = holder(AgentPlaces.of(directory))
        service.terminate()
    assert (printed, inbox.names, service.returncode) == ("recorded\nTrue\n", _names("bot", 10), 0)
    assert found is not None
    assert found.pid == service.pid


def test_credentials_come_over_the_socket_and_are_nowhere_to_be_seen(
    receiver: Receiver, inbox: Inbox, directory: Path
):
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer very-secret"}
    App(directory, receiver.endpoint).run(1, "flush", {"OTEL_SERVICE_NAME": "first"})
    App(directory, receiver.endpoint).run(1, "flush", headers)
    found = holder(AgentPlaces.of(directory))
    assert found is not None
    seen = [batch.headers.get("authorization") for batch in inbox.batches if batch.signal == "traces"]
    process = Path(f"/proc/{found.pid}")
    shown = [process.joinpath(name).read_bytes() for name in ("cmdline", "environ")]
    kept = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    assert seen == [None, "Bearer very-secret"]
    assert [place for place in (*shown, *kept) if b"very-secret" in place] == []


def test_a_dead_letter_is_delivered_when_it_is_sent_again(app: App, inbox: Inbox, directory: Path):
    inbox.answer = lambda _batch: Response(400)
    process = app.start(10, "wait")
    _wait(lambda: agent.status(directory).dead_letters)
    inbox.answer = lambda _batch: None
    assert agent.redrive(directory) == agent.Redriven(1)
    _wait(lambda: inbox.names.total() == 10)
    _end(process)
    assert (inbox.names, agent.letters(directory)) == (_names("bot", 10), [])


def test_an_agent_is_small(app: App, directory: Path):
    app.run(5_000, "flush")
    (state,) = agent.status(directory).agents
    assert 0 < state.rss_bytes < 60 << 20


def test_the_agent_reports_its_own_metrics(app: App, inbox: Inbox):
    process = app.start(10, "wait", {"TICKSPAN_AGENT_REPORT_S": "0.5"})
    _wait(lambda: any(batch.signal == "metrics" for batch in inbox.batches))
    _end(process)
    report = next(batch for batch in inbox.batches if batch.signal == "metrics")
    for name in (b"tickspan.ledger.records", b"tickspan.spool.size", b"otel.sdk.exporter.span.exported"):
        assert name in report.body


_TAP = """
from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding

class Tap:
    def __init__(self, home):
        self.is_in_its_spool = home.is_dir()

    def on_batch(self, batch):
        assert self.is_in_its_spool
        stream = batch.entries[0].stream
        key = StreamKey("logs", stream.resource, b"")
        return [Finding(batch.process, key, b"\\x12\\x07\\x62\\x05found") for _ in range(1)]

    def tick(self, now_s):
        return None
"""


def test_a_tap_that_a_process_names_looks_at_its_records(
    receiver: Receiver, inbox: Inbox, directory: Path, tmp_path: Path
):
    packages = tmp_path / "packages"
    (packages / "looker-1.dist-info").mkdir(parents=True)
    (packages / "looker-1.dist-info" / "METADATA").write_text("Name: looker\nVersion: 1\n")
    (packages / "looker-1.dist-info" / "entry_points.txt").write_text("[tickspan_tap]\nlook = looker:Tap\n")
    (packages / "looker.py").write_text(_TAP)
    App(directory, receiver.endpoint).run(5, "flush", {"PYTHONPATH": str(packages), "APP_TAPS": "look"})
    _wait(lambda: inbox.events)
    assert inbox.events == [("bot", "found")]
    (state,) = agent.status(directory).agents
    assert [(tap.name, tap.batches, tap.findings, tap.disabled) for tap in state.taps] == [("look", 1, 1, "")]
