"""A desk as its user starts it, bots under `tickspan run`, and a client of the page."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tickspan_spool.liaison import AgentPlaces, holder

from tickspan.cli import main

PATIENCE_S = 60.0
_BOT = """
import sys
from opentelemetry import trace
tracer = trace.get_tracer("bot")
name, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    with tracer.start_as_current_span(f"{name} {number}"):
        pass
print("recorded", flush=True)
sys.stdin.read()
"""


def wait(claim: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@dataclass
class RunningDesk:
    """A desk that has said where it is."""

    process: subprocess.Popen[str]
    told: Mapping[str, Any]

    @property
    def page(self) -> str:
        return self.told["page"].partition("#")[0]

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of a page; a POST when there is a body."""
        request = urllib.request.Request(
            self.page.rstrip("/") + path,
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self.told['token']}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def spans(self, name: str) -> int:
        """How many spans whose names begin so are kept; each was a trace of its own."""
        told = self.ask("/api/operations?range=86400")
        return sum(_calls(told, name))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def _calls(told: Any, name: str) -> Iterator[int]:
    """Every object of the answer that has such a name and a number of calls."""
    if isinstance(told, dict):
        if str(told.get("name", "")).startswith(name) and isinstance(told.get("calls"), int):
            yield told["calls"]
            return
        told = list(told.values())
    if isinstance(told, list):
        for item in told:
            yield from _calls(item, name)


@dataclass
class Place:
    """A spool with everything that is started for it."""

    spool: Path

    @property
    def store(self) -> Path:
        return self.spool.parent / "desk" / "desk.sqlite"

    def environ(self, **settings: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "TICKSPAN_")) or name == "TICKSPAN_PURE"
        }
        return {**kept, "TICKSPAN_SPOOL_DIR": str(self.spool), "OTEL_SERVICE_NAME": "bot", **settings}

    def command(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`tickspan desk …` to its end, in this process: the second of start-up is spared."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environ(**settings), clear=True),
            redirect_stdout(output),
            redirect_stderr(errors),
        ):
            status = main(["desk", *words])
        return subprocess.CompletedProcess(words, status, output.getvalue(), errors.getvalue())

    @contextmanager
    def desk(self, *words: str, **settings: str) -> Generator[RunningDesk]:
        """A desk on free ports, killed at the end if it is still there."""
        ports = () if "--port" in words else ("--port", "0")
        otlp = () if "--otlp-port" in words else ("--otlp-port", "0")
        with subprocess.Popen(
            [sys.executable, "-m", "tickspan", "desk", "--json", *ports, *otlp, *words],
            env=self.environ(**settings),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                yield RunningDesk(process, json.loads(process.stdout.readline()))
            finally:
                process.kill()

    @contextmanager
    def bot(self, name: str, count: int, **settings: str) -> Generator[subprocess.Popen[str]]:
        """A program under `tickspan run` that has recorded, and lives until the block ends."""
        bot = self.spool.parent / "bot.py"
        bot.parent.mkdir(exist_ok=True)
        bot.write_text(_BOT)
        with subprocess.Popen(
            [sys.executable, "-m", "tickspan", "run", "--", sys.executable, str(bot), name, str(count)],
            env=self.environ(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "recorded\n"
                yield process
                process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Whoever is the spool's agent at the end is killed, by its number."""
    place = Place(tmp_path / "state" / "spool")
    yield place
    found = holder(AgentPlaces.of(place.spool))
    if found is not None and found.pid:
        os.kill(found.pid, signal.SIGKILL)
