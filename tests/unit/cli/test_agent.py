"""`tickspan agent`: what it prints, what its exit status means, and that it can be asked without an agent."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool import agent
from tickspan_spool.agent.state import AgentState, AgentStatus, DestinationStatus, ProcessStatus
from tickspan_spool.entries import StreamKey
from tickspan_spool.ledger import Ledger
from tickspan_spool.liaison import AgentPlaces, holder
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import DeadLetters, Destination
from tickspan_spool.spool import Spool, SpoolPlan
from tickspan_spool.taps import TapStatistics

from tickspan.cli import main
from tickspan.cli.agent import status_lines

_NOBODY = Destination("traces", "http://127.0.0.1:9/v1/traces")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A spool; its agent, if a test starts one, is killed by its number."""
    directory = tmp_path / "spool"
    yield directory
    places = AgentPlaces.of(directory)
    deadline = time.monotonic() + (10 if places.launching.exists() else 0)
    while holder(places) is None and time.monotonic() < deadline:  # one that was started is on its way
        time.sleep(0.02)
    found = holder(places)
    if found is not None and found.pid:
        os.kill(found.pid, signal.SIGKILL)


def _record(directory: Path, count: int) -> None:
    spool = Spool(SpoolPlan(directory, agent="off", destinations=(_NOBODY,), service_name="bot"))
    for _ in range(count):
        spool.stream(StreamKey("traces", b"", b"")).append(b"\x12\x00")
    spool.stop()


def _bury(directory: Path) -> str:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="buy")
    letters = DeadLetters(directory / "v1" / "dead", wall_clock=lambda: 1.0)
    assert not letters.add(
        "traces", request.SerializeToString(), items=1, reason="answered 400", place="http://c/v1/traces"
    )
    (head,) = agent.letters(directory)
    return head.path.stem


@pytest.fixture
def tickspan(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(["agent", *words, "--directory", str(directory)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


Run = Callable[..., tuple[int, str, str]]


def test_a_spool_that_is_not_there_is_empty(tickspan: Run, directory: Path):
    status, told, _ = tickspan("status")
    assert (status, told.splitlines()) == (
        0,
        [
            f"spool {directory}: 0.0 MiB, 0 dead letters",
            "no agent runs",
            "               ended   delivered    in spool     dropped",
            "traces             0           0           0           0",
            "metrics            0           0           0           0",
            "logs               0           0           0           0",
        ],
    )


def test_what_waits_without_an_agent_is_told_and_is_status_1(tickspan: Run, directory: Path):
    _record(directory, 3)
    status, told, _ = tickspan("status")
    lines = told.splitlines()
    assert (status, lines[1], lines[3], lines[-1]) == (
        1,
        "no agent runs",
        "traces             3           0           3           0",
        f"process {os.getpid()} (bot): alive, 3 wait",
    )


def test_the_status_is_data_for_programs(tickspan: Run, directory: Path):
    _record(directory, 3)
    told = json.loads(tickspan("status", "--json")[1])
    assert (told["in_spool"], told["agents"], told["signals"]["traces"]) == (
        3,
        [],
        {"ended": 3, "delivered": 0, "in_spool": 3, "dropped": {}},
    )


def test_people_read_agents_destinations_taps_and_losses():
    destination = DestinationStatus(
        "traces", "http://c/v1/traces", "http/protobuf", breaker="open", trouble="401"
    )
    well = DestinationStatus("logs", "http://c/v1/logs", "http/protobuf", last_trouble="timeout")
    taps = (TapStatistics("orders", batches=2, skipped=1, cpu_s=0.5),)
    state = AgentState(7, "0123456789ab", "1.2", 0, "serving", 30 << 20, (destination, well), taps)
    process = ProcessStatus(
        folder="8-9-x",
        pid=8,
        service_name="",
        environment="0123456789ab",
        is_alive=False,
        is_agent=False,
        oldest_age_s=90.0,
        signals={"traces": Ledger(3, 1, 2)},
    )
    found = AgentStatus(
        "/spool", (state,), (process,), {"traces": Ledger(5, 1, 2, {Reason.TORN: 2})}, 7_300.0, 1 << 20, 4
    )
    assert status_lines(found) == [
        "spool /spool: 1.0 MiB, 4 dead letters",
        "agent 7: serving since 1970-01-01 00:00:00 UTC, 30.0 MiB, version 1.2",
        "               ended   delivered    in spool     dropped",
        "traces             5           1           2           2  2 torn",
        "the oldest has waited for 2.0 h",
        "traces to http://c/v1/traces: breaker open, 401",
        "logs to http://c/v1/logs: well again after: timeout",
        "tap orders: 2 batches, 1 skipped, 0.50 s",
        "process 8 (no service name): gone, 2 wait",
    ]


def test_stopping_nobody_is_well(tickspan: Run):
    assert tickspan("stop") == (0, "no agent runs\n", "")


def test_an_empty_spool_is_drained(tickspan: Run):
    assert tickspan("drain", "--json") == (0, '{"is_drained": true, "in_spool": 0}\n', "")


@pytest.mark.integration
def test_a_drain_that_is_not_done_in_time_is_status_1(tickspan: Run, directory: Path):
    _record(directory, 3)
    told = "3 records still wait; see 'tickspan agent status'\n"
    assert tickspan("drain", "--timeout", "0.2") == (1, told, "")


def test_dead_letters_are_listed(tickspan: Run, directory: Path):
    name = _bury(directory)
    line = f"{name}: 1 traces for http://c/v1/traces: answered 400\n"
    assert tickspan("dead", "list") == (0, line, "")
    assert json.loads(tickspan("dead", "list", "--json")[1])[0]["id"] == name


def test_no_dead_letters_are_told(tickspan: Run):
    assert tickspan("dead", "list") == (0, "no dead letters\n", "")


def test_a_dead_letter_is_shown_with_its_records(tickspan: Run, directory: Path):
    name = _bury(directory)
    assert 'name: "buy"' in tickspan("dead", "show", name)[1]
    shown = json.loads(tickspan("dead", "show", name, "--json")[1])
    assert shown["request"] == {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "buy"}]}]}]}


@pytest.mark.parametrize("name", ["gone", "../../../etc/passwd"])
def test_a_dead_letter_that_is_not_there_is_one_line(tickspan: Run, name: str):
    told = f"tickspan agent: no dead letter '{name}'; see 'tickspan agent dead list'\n"
    assert tickspan("dead", "show", name) == (1, "", told)


def test_sending_again_needs_an_agent(tickspan: Run):
    told = "tickspan agent: no agent answers; start one with 'tickspan agent run'\n"
    assert tickspan("dead", "redrive", "all") == (1, "", told)


@pytest.mark.integration
def test_an_agent_in_the_foreground_serves_until_it_is_told_to_stop(tickspan: Run, directory: Path):
    command = [sys.executable, "-m", "tickspan", "agent", "run", "--directory", str(directory)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        name = _bury(directory)
        answers = [tickspan("dead", "redrive", "all"), tickspan("run"), tickspan("stop")]
        rest = process.stderr.read()
    why = "no process and no variable names a destination http://c/v1/traces for traces"
    another = "tickspan agent: another agent of this environment runs; see 'tickspan agent status'\n"
    assert answers == [
        (1, f"0 dead letters are on their way\nkept: {name}: {why}\n", ""),
        (1, "", another),
        (0, "no agent runs\n", ""),
    ]
    assert re.fullmatch(rf"\S+ \S+Z INFO agent {process.pid} serves {directory}\n", first)
    assert (process.returncode, rest.splitlines()[-1].endswith(f"agent {process.pid} ends")) == (0, True)


def test_the_spool_of_the_environment_is_asked_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("TICKSPAN_SPOOL_DIR", str(tmp_path / "mine"))
    main(["agent", "status"])
    assert capsys.readouterr().out.startswith(f"spool {tmp_path}/mine: ")
