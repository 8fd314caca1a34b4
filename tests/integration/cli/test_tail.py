"""`tickspan tail` beside real programs that start, end and are killed meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import agent

from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
_AFTER_S = 60.0
_BOT = """
import sys, time
from opentelemetry import trace
tracer = trace.get_tracer("bot")
for number in range(int(sys.argv[1])):
    try:
        with tracer.start_as_current_span("tick"):
            for _ in range(5):
                with tracer.start_as_current_span("SELECT px"):
                    pass
            if number % 2:
                raise ValueError
    except ValueError:
        pass
"""
_STUCK = """
import time
from opentelemetry import trace
tracer = trace.get_tracer("bot")
with tracer.start_as_current_span("never ends"):
    with tracer.start_as_current_span("ended"):
        pass
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def environment(tmp_path: Path, clean_environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    spool = tmp_path / "spool"
    yield {**clean_environment, "TICKSPAN_SPOOL_DIR": str(spool)}
    agent.stop(spool)


@pytest.fixture
def bot(environment: dict[str, str]) -> Callable[..., Ended]:
    """Run a bot of some traces to its end."""

    def run(traces: int, name: str = "bot", *options: str) -> Ended:
        command = [
            "tickspan",
            "run",
            "--service-name",
            name,
            *options,
            "--",
            "python",
            "-c",
            _BOT,
            str(traces),
        ]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=_AFTER_S
        )

    return run


@pytest.fixture
def tail(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `tickspan tail`, which is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["tickspan", "tail", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _ended(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    out, err = process.communicate(timeout=_AFTER_S)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def test_traces_of_programs_that_come_and_go_are_told_as_they_end(
    tail: Callable[..., subprocess.Popen[str]], bot: Callable[..., Ended]
):
    process = tail("--json", "--since", "10m", "--limit", "5")
    bot(3)
    bot(2, "second")
    status, told, err = _ended(process)
    assert (status, err) == (0, "")
    assert [(one["root"], one["services"], one["spans"], one["errors"]) for one in told] == [
        ("tick", ["bot"], 6, 0),
        ("tick", ["bot"], 6, 1),
        ("tick", ["bot"], 6, 0),
        ("tick", ["second"], 6, 0),
        ("tick", ["second"], 6, 1),
    ]
    assert [(line["name"], line["count"]) for line in told[0]["lines"]] == [("tick", 1), ("SELECT px", 5)]


def test_what_ended_before_is_told_since_a_time(
    tail: Callable[..., subprocess.Popen[str]], bot: Callable[..., Ended]
):
    bot(4)
    bot(1, "second")
    assert _ended(tail("--json", "--seconds", "1s"))[:2] == (0, [])
    _, told, _ = _ended(tail("--json", "--since", "10m", "--seconds", "1s", "--service", "bot", "--errors"))
    assert [(one["services"], one["errors"]) for one in told] == [(["bot"], 1), (["bot"], 1)]


def test_an_interrupt_ends_it_with_0(tail: Callable[..., subprocess.Popen[str]], bot: Callable[..., Ended]):
    process = tail("--since", "10m")
    bot(1)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=_AFTER_S)
    assert (process.returncode, err) == (0, "")
    assert "  bot  tick  " in first
    assert "\x1b" not in first + out


def test_who_reads_no_more_ends_it_with_0(
    tail: Callable[..., subprocess.Popen[str]], bot: Callable[..., Ended]
):
    process = tail("--since", "10m")
    assert process.stdout is not None
    process.stdout.close()
    bot(1)
    assert process.wait(_AFTER_S) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_what_a_killed_program_had_ended_is_told(
    tail: Callable[..., subprocess.Popen[str]], environment: dict[str, str]
):
    process = tail("--json", "--since", "10m", "--limit", "1")
    with subprocess.Popen(
        ["tickspan", "run", "--service-name", "stuck", "--", "python", "-c", _STUCK],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "ready\n"
        stuck.kill()
    status, told, _ = _ended(process)
    assert (status, [(one["root"], one["services"]) for one in told]) == (0, [("ended", ["stuck"])])


def test_it_tells_beside_an_agent_that_delivers_and_empties_the_spool(
    tail: Callable[..., subprocess.Popen[str]], bot: Callable[..., Ended]
):
    process = tail("--json", "--since", "10m", "--limit", "3")
    bot(1, "first")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["services"] == ["first"]
    with OtlpServer() as server:
        bot(2, "bot", "--endpoint", server.endpoint)
        server.wait_for(lambda server: len(server.spans()) == 12, timeout_s=_AFTER_S)
    status, told, _ = _ended(process)
    assert (status, [one["root"] for one in told]) == (0, ["tick", "tick"])
