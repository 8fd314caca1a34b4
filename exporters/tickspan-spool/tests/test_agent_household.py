"""Who is taken in, what is said about losses, and how old the oldest record is."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.agent import household
from tickspan_spool.agent.age import oldest_age_s, recorded_unix_ns
from tickspan_spool.agent.credentials import Credentials
from tickspan_spool.agent.crew import Crew
from tickspan_spool.agent.guest import Losses
from tickspan_spool.agent.logfile import LogFile
from tickspan_spool.agent.options import AgentOptions
from tickspan_spool.agent.outbox import Audience, Outboxes
from tickspan_spool.agent.tap_runner import TapRunner
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Signal, StreamKey
from tickspan_spool.folder import ProcessDescription
from tickspan_spool.liaison import AgentPlaces
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import Destination
from tickspan_spool.spool import Spool, SpoolPlan
from tickspan_spool.taps import Taps, installed

_OWN, _OTHER = "0123456789ab", "ba9876543210"


@pytest.mark.parametrize(
    ("environment", "is_alive", "adopts_all", "has_agent", "expected"),
    [
        (_OWN, True, False, True, True),
        (_OWN, False, False, True, True),
        (_OTHER, True, False, False, False),
        (_OTHER, False, False, False, True),
        (_OTHER, False, False, True, False),
        (_OTHER, True, True, False, True),
        (_OTHER, True, True, True, False),
    ],
)
def test_an_agent_takes_in_its_own_and_the_orphans(
    environment: str, is_alive: bool, adopts_all: bool, has_agent: bool, expected: bool
):
    assert expected is household.is_welcome(
        ProcessDescription(environment_id=environment),
        _OWN,
        is_alive=is_alive,
        adopts_all=adopts_all,
        has_agent=lambda _environment: has_agent,
    )


@pytest.mark.parametrize(
    ("description", "is_viewed", "expected"),
    [
        (ProcessDescription(pid=7, environment_id=_OTHER), True, True),
        (ProcessDescription(pid=7, environment_id=_OTHER), False, False),
        (ProcessDescription(pid=7, environment_id=_OTHER, taps=("alerts",)), True, False),
        (ProcessDescription(pid=7, environment_id=_OTHER, destinations=({"signal": "logs"},)), True, False),
        (ProcessDescription(), True, False),
    ],
)
def test_a_living_stranger_is_taken_in_for_viewers_alone_if_nobody_else_ever_will(
    description: ProcessDescription, is_viewed: bool, expected: bool
):
    assert expected is household.is_welcome(
        description,
        _OWN,
        is_alive=True,
        adopts_all=False,
        has_agent=lambda _environment: False,
        is_viewed=is_viewed,
    )


def test_only_what_was_lost_since_is_told_and_what_a_filter_took_was_not_lost():
    before: Losses = {"traces": {Reason.TORN: 1}}
    now: Losses = {
        "traces": {Reason.TORN: 1, Reason.DISK_BOUND: 7, Reason.FILTERED: 9},
        "logs": {Reason.REFUSED: 2},
        "metrics": {Reason.FILTERED: 1},
    }
    assert household._difference(now, before) == {
        "traces": {Reason.DISK_BOUND: 7},
        "logs": {Reason.REFUSED: 2},
    }


def _span(end_unix_ns: int) -> bytes:
    return ScopeSpans(spans=[Span(name="buy", end_time_unix_nano=end_unix_ns)]).SerializeToString()


def _gauge(time_unix_ns: int) -> bytes:
    metric = Metric(name="m")
    metric.gauge.data_points.add(time_unix_nano=time_unix_ns, as_double=1.5)
    return ScopeMetrics(metrics=[metric]).SerializeToString()


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        ("traces", _span(5)),
        ("logs", ScopeLogs(log_records=[LogRecord(time_unix_nano=5, flags=1)]).SerializeToString()),
        (
            "logs",
            ScopeLogs(
                log_records=[LogRecord(time_unix_nano=4, observed_time_unix_nano=5)]
            ).SerializeToString(),
        ),
        ("metrics", _gauge(5)),
    ],
)
def test_a_record_says_when_it_ended(signal: Signal, body: bytes):
    assert recorded_unix_ns(signal, body) == 5


def test_a_record_without_a_time_says_nothing():
    assert [recorded_unix_ns("traces", b"\x12\x00"), recorded_unix_ns("metrics", b"\x12\x00")] == [0, 0]


def test_bytes_that_are_no_protobuf_are_refused():
    with pytest.raises(ValueError, match="expected"):
        recorded_unix_ns("traces", b"\x12\x01\xff")


@pytest.fixture
def plan(tmp_path: Path) -> SpoolPlan:
    return SpoolPlan(
        tmp_path / "spool", agent="off", destinations=(Destination("traces", "http://127.0.0.1:9/v1/traces"),)
    )


def test_the_oldest_record_that_waits_tells_its_age(plan: SpoolPlan):
    spool = Spool(plan)
    for end_unix_ns in (3_000_000_000, 1_000_000_000):
        spool.stream(StreamKey("traces", b"", b"")).append(_span(end_unix_ns))
    (folder,) = SpoolDirectory(plan.directory).folders()
    ages_s = [oldest_age_s(folder, 5_000_000_000)]
    assert folder.claim()
    track = folder.track("traces", 0)
    track.acknowledge(track.read(1), 1, {})
    ages_s.append(oldest_age_s(folder, 5_000_000_000))
    track.acknowledge(track.read(), 1, {})
    ages_s.append(oldest_age_s(folder, 5_000_000_000))
    spool.stop()
    assert ages_s == [2.0, 4.0, 0.0]


class _Box:
    def __init__(self) -> None:
        self.kept: list[tuple[StreamKey, bytes, int]] = []
        self.is_stopped = False
        self._key = StreamKey("logs", b"", b"")

    def stream(self, key: StreamKey) -> "_Box":
        self._key = key
        return self

    def append(self, record: bytes, items: int = 1) -> None:
        self.kept.append((self._key, record, items))

    def stop(self, timeout_s: float = 1.0) -> None:
        self.is_stopped = True


def test_each_audience_has_a_box_of_its_own_that_is_opened_when_needed():
    boxes: dict[Audience, _Box] = {}
    outboxes = Outboxes(lambda audience: boxes.setdefault(audience, _Box()))
    one = Audience("bot", (Destination("logs", "http://a/v1/logs"),))
    other = Audience("bot", (Destination("logs", "http://b/v1/logs"),))
    deaf = Audience("bot", (Destination("traces", "http://a/v1/traces"),))
    key = StreamKey("logs", b"", b"")
    put = [outboxes.put(audience, key, b"x") for audience in (one, other, one, deaf)]
    outboxes.close()
    assert (put, outboxes.put(one, key, b"late")) == ([True, True, True, False], False)
    assert {audience: (box.kept, box.is_stopped) for audience, box in boxes.items()} == {
        one: ([(key, b"x", 1)] * 2, True),
        other: ([(key, b"x", 1)], True),
    }


def test_while_somebody_looks_on_a_box_takes_what_no_destination_does():
    is_viewed = False
    box = _Box()
    outboxes = Outboxes(lambda _audience: box, lambda: is_viewed)
    nobody, key = Audience("bot", ()), StreamKey("logs", b"", b"")
    put = [outboxes.put(nobody, key, b"before")]
    is_viewed = True
    put.append(outboxes.put(nobody, key, b"seen"))
    assert (put, box.kept) == ([False, True], [(key, b"seen", 1)])


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, AgentOptions()),
        (
            {"TICKSPAN_AGENT_LINGER_S": "1.5", "TICKSPAN_AGENT_REPORT_S": "2", "TICKSPAN_AGENT_STOP_S": "0"},
            AgentOptions(linger_s=1.5, report_every_s=2, stop_budget_s=0),
        ),
        ({"TICKSPAN_AGENT_LINGER_S": "soon", "TICKSPAN_AGENT_REPORT_S": "-1"}, AgentOptions()),
        ({"TICKSPAN_AGENT_STOP_S": "inf", "TICKSPAN_SPOOL_MAX_BYTES": "1024"}, AgentOptions(max_bytes=1024)),
    ],
)
def test_options_come_from_variables(environ: Mapping[str, str], expected: AgentOptions):
    assert AgentOptions.from_environment(environ) == expected


@pytest.fixture
def streams() -> Iterator[None]:
    """The test's own standard streams, back in their places afterwards."""
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    yield
    for fd, copy in zip((1, 2), kept, strict=True):
        os.dup2(copy, fd)
        os.close(copy)


@pytest.mark.usefixtures("streams")
def test_the_log_takes_every_word_and_is_bounded(tmp_path: Path):
    path = tmp_path / "agent.log"
    handler = LogFile(path, longest=2_000)
    for number in range(100):
        handler.handle(logging.LogRecord("x", logging.INFO, "", 0, "word %d", (number,), None))
    os.write(2, b"last words\n")
    sizes = [path.stat().st_size, path.with_suffix(".log.1").stat().st_size]
    assert max(sizes) < 2_200
    assert path.read_text().endswith("INFO word 99\nlast words\n")
    assert path.stat().st_mode & 0o777 == 0o600


_RECORDING = """
import sys
from pathlib import Path
from tickspan_spool.entries import StreamKey
from tickspan_spool.spool import Spool, SpoolPlan
spool = Spool(SpoolPlan(Path(sys.argv[1]), agent="off", service_name="bot"))
spool.stream(StreamKey("samples", b"", b"")).append(b"one")
spool.stop()
"""


def test_a_tap_may_still_speak_of_a_process_that_is_gone(tmp_path: Path):
    subprocess.run([sys.executable, "-c", _RECORDING, str(tmp_path)], check=True)
    (folder,) = SpoolDirectory(tmp_path).folders()
    taps = TapRunner(Taps(installed(tmp_path)), lambda _finding: None, lambda: 0.0)
    crew = Crew(Credentials({}), lambda _destination: pytest.fail("there is no destination"))
    outboxes = Outboxes(lambda _audience: pytest.fail("there is nobody to tell"))
    served = household.Household(AgentPlaces(tmp_path, _OWN), crew, outboxes, taps, adopts_all=True)
    known = [served.audience_of(folder.path.name)]
    served.discover()
    known.append(served.audience_of(folder.path.name))
    served.review()
    known.append(served.audience_of(folder.path.name))
    assert (folder.path.exists(), served.guests) == (False, ())
    assert known == [None, Audience("bot", ()), Audience("bot", ())]
