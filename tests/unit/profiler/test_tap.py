"""The tap: samples of processes become profiles, as files, and sent where that is wanted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.taps import Finding, ProcessEnd, TapBatch, Turn

from tickspan.analysis.profiles import Frame, Link
from tickspan.profiler.encoding import otlp
from tickspan.profiler.encoding.pprof import read_pprof
from tickspan.profiler.records import About, Captured, Recorder, captured_record
from tickspan.profiler.sampler import Seen
from tickspan.profiler.shelf import shelved
from tickspan.profiler.states import State
from tickspan.profiler.tables import Tables
from tickspan.profiler.tap import ProfileTap

S = 1_000_000_000
START = 1_700_000_000
LINK = Link(0xA1, 0xB2)
PROFILE_ID = "ab" * 16
PRICE = Frame("price", "/bot/pricing.py", 7, 3)
RESOURCE = Resource(attributes=[])
RESOURCE.attributes.add(key="service.name").value.string_value = "bot"
RESOURCE.attributes.add(key="host.name").value.string_value = "h"
STREAM = StreamKey("samples", RESOURCE.SerializeToString(), b"")


TABLES = Tables()
TABLES.frames = {0: PRICE}
TABLES.stacks = {1: (0,)}


def seen(at_s: float) -> Seen:
    return Seen(round((START + at_s) * S), 1, "MainThread", State.CPU, LINK, S // 10)


def captured(*, is_exported: bool = False) -> bytes:
    return captured_record(
        About("bot", "1.2", is_exported),
        [seen(0.1), seen(0.2)],
        TABLES,
        (START * S, START * S + S // 2, S // 10),
        Captured(PROFILE_ID, "slow", "order", LINK),
    )


def continuous(*seconds: float, is_exported: bool = False) -> list[bytes]:
    records: list[bytes] = []
    recorder = Recorder(
        About("bot", "1.2", is_exported),
        lambda record, _: records.append(record),
        lambda: TABLES,
        lambda: S // 10,
    )
    for one in seconds:
        recorder.add(seen(one))
    recorder.flush()
    return records


def batch(*records: bytes, process: str = "77-1-ab", signal: Signal = "samples") -> TapBatch:
    stream = StreamKey(signal, STREAM.resource, b"")
    entries = [Entry(stream, record, 1, place) for place, record in enumerate(records)]
    return TapBatch(process, "bot", entries)


class Agent:
    """The tap with a clock."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.now_s = 0.0
        self.tap = ProfileTap(home, {}, monotonic=lambda: self.now_s, draw_id=lambda: b"m" * 16)

    def files(self) -> list[str]:
        return [path.name for path in shelved(self.home)]

    def samples(self) -> list[int]:
        profiles = [read_pprof(path.read_bytes()) for path in shelved(self.home)]
        return [sum(one.count for one in profile.samples) for profile in profiles]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def told(findings: Iterable[Finding] | None) -> list[tuple[str, Signal]]:
    return [(one.process, one.stream.signal) for one in findings or ()]


def test_a_captured_trace_is_a_file_at_once(agent: Agent):
    assert told(agent.tap.on_batch(batch(captured()))) == []
    assert agent.files() == [f"20231114T221320Z-bot-slow-{PROFILE_ID}.pb.gz"]
    profile = read_pprof(shelved(agent.home)[0].read_bytes())
    assert [(profile.frames_of(one), one.link, one.count) for one in profile.samples] == [((PRICE,), LINK, 2)]
    assert (profile.service, profile.version, profile.duration_ns) == ("bot", "1.2", S // 2)


def test_a_batch_that_comes_again_after_a_crash_doubles_nothing(agent: Agent, tmp_path: Path):
    agent.tap.on_batch(batch(captured()))
    again = Agent(tmp_path)
    again.tap.on_batch(batch(captured()))
    assert again.samples() == [2]


def test_a_continuous_profile_is_a_file_each_minute(agent: Agent):
    agent.tap.on_batch(batch(*continuous(0, 0.5, 30, 59, 61, 62)))
    assert (agent.files(), agent.samples()) == ([f"20231114T221320Z-bot-minute-{os.getpid()}.pb.gz"], [4])
    agent.tap.on_end(ProcessEnd("77-1-ab", "bot", 77, has_exited_cleanly=False))
    assert agent.samples() == [4, 2]


def test_a_minute_ends_by_the_clock_where_nothing_more_comes(agent: Agent):
    agent.tap.on_batch(batch(*continuous(0, 1)))
    agent.now_s = 74.0
    agent.tap.tick(0.0)
    assert agent.files() == []
    agent.now_s = 75.0
    agent.tap.tick(0.0)
    assert agent.samples() == [2]


def test_minutes_of_processes_are_apart(agent: Agent):
    for process in ("1-1-a", "2-1-b"):
        agent.tap.on_batch(batch(*continuous(0), process=process))
    assert repr(agent.tap) == "<ProfileTap with 2 minutes under way>"
    agent.tap.close()
    assert repr(agent.tap) == "<ProfileTap with 0 minutes under way>"


def test_a_profile_is_sent_only_where_its_process_wants_that(agent: Agent):
    findings = list(agent.tap.on_batch(batch(captured(is_exported=True), captured())) or ())
    assert told(findings) == [("77-1-ab", "profiles")]
    request = ExportProfilesServiceRequest.FromString(findings[0].body)
    (made,) = request.resource_profiles[0].scope_profiles[0].profiles
    assert request.resource_profiles[0].resource == RESOURCE
    assert (made.profile_id.hex(), made.time_unix_nano, made.duration_nano) == (PROFILE_ID, START * S, S // 2)
    assert [sample.values[0] for sample in made.samples] == [S // 5]


def test_a_minute_is_sent_when_the_next_begins(agent: Agent):
    records = continuous(0, 61, is_exported=True)
    assert told(agent.tap.on_batch(batch(*records))) == [("77-1-ab", "profiles")]
    assert told(agent.tap.on_end(ProcessEnd("77-1-ab", "bot", 77, has_exited_cleanly=True))) == [
        ("77-1-ab", "profiles")
    ]


def test_a_large_profile_is_sent_in_parts_that_are_whole_profiles(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(otlp, "MOST_BYTES", 600)
    links = [Seen(START * S, 1, f"thread {number}", State.CPU, LINK, S) for number in range(10)]
    record = captured_record(
        About("bot", "", is_exported=True),
        links,
        TABLES,
        (START * S, START * S + S, S),
        Captured(PROFILE_ID, "slow", "order", LINK),
    )
    requests = [
        ExportProfilesServiceRequest.FromString(one.body) for one in agent.tap.on_batch(batch(record)) or ()
    ]
    profiles = [one.resource_profiles[0].scope_profiles[0].profiles[0] for one in requests]
    assert len(profiles) > 1
    assert max(one.ByteSize() for one in requests) <= 600
    assert sum(len(profile.samples) for profile in profiles) == 10
    assert len({profile.profile_id for profile in profiles}) == len(profiles)
    assert profiles[0].profile_id.hex() == PROFILE_ID


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("tickspan"), "propagate", True)
    return caplog


def test_messages_of_another_version_are_not_filled_and_that_is_said_once(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
):
    monkeypatch.setattr(otlp, "is_supported", lambda: False)
    for _ in range(2):
        assert told(agent.tap.on_batch(batch(captured(is_exported=True)))) == []
    assert (agent.samples(), log.text.count("opentelemetry-proto")) == ([2], 1)


def test_the_installed_messages_are_those_that_the_encoder_was_written_for():
    assert otlp.is_supported()


def test_what_is_no_record_is_left_out_and_said_once(agent: Agent, log: pytest.LogCaptureFixture):
    agent.tap.on_batch(batch(b"\x00", captured(), b"nonsense"))
    assert (agent.samples(), log.text.count("cannot be read")) == ([2], 1)


def test_a_folder_that_takes_nothing_is_said_once_and_profiles_are_still_sent(
    agent: Agent, log: pytest.LogCaptureFixture
):
    (agent.home / "profiles").touch()
    for _ in range(2):
        assert told(agent.tap.on_batch(batch(captured(is_exported=True)))) == [("77-1-ab", "profiles")]
    assert log.text.count("cannot be kept") == 1


def test_other_signals_are_none_of_its_business(agent: Agent):
    assert agent.tap.on_batch(batch(captured(), signal="logs")) is None


def test_it_sees_every_batch_whatever_time_it_takes(tmp_path: Path):
    turn = Turn(
        "profiles", lambda: ProfileTap(tmp_path, {}), 0.0, thread_time=iter(range(0, 9_999, 99)).__next__
    )
    for _ in range(3):
        turn.on_batch(batch(captured()), 0.0)
    assert (turn.statistics().batches, turn.statistics().skipped) == (3, 0)
