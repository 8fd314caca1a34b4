"""How the processes of a run talk: one JSON value a line, a question and an answer."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_STOP_TIMEOUT_S = 10.0
BENCHMARKS = Path(__file__).parent.parent


class ChildError(Exception):
    """A child ended before it answered; the text holds the last line of its stderr, or says where that is."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started."""

    python: str = sys.executable
    path: Sequence[Path] = (BENCHMARKS,)
    """Folders that are searched before the installed packages."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables, beside those of the parent that configure nobody."""
    errors: Path | None = None
    """The file that its stderr goes to; None: it is the parent's."""

    def environment(self) -> dict[str, str]:
        """All variables of the child: what would configure a contender is not inherited."""
        path = os.pathsep.join(str(folder) for folder in self.path)
        return {**_without_settings(), "PYTHONPATH": path, **self.settings}


class Child:
    """A module as a process: asked, it answers; its first answer comes unasked."""

    def __init__(self, module: str, *arguments: str, launch: Launch | None = None) -> None:
        """Start it. `hello()` waits until it is ready."""
        launch = launch or Launch()
        self._name = " ".join((module, *arguments[:1]))
        self._errors = launch.errors
        with contextlib.ExitStack() as stack:
            errors = None if launch.errors is None else stack.enter_context(launch.errors.open("wb"))
            self._process = subprocess.Popen(
                [launch.python, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=launch.environment(),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def hello(self) -> Any:
        """What it has to say once it is ready. Raises ChildError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(
                f"{self._name} ended with status {self._process.wait()}: {last_words(self._errors)}"
            )
        return json.loads(line)

    def ask(self, question: Any) -> Any:
        """Its answer. Raises ChildError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer that does not come says it better
        return self.hello()

    def stop(self) -> None:
        """End it: no more questions, and after some seconds it is killed."""
        try:
            self._process.communicate(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def last_words(errors: Path | None) -> str:
    """The last line that a child has written to the file of its errors."""
    if errors is None:
        return "see above"
    lines = errors.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def questions() -> Iterator[Any]:
    """In a child: what it is asked, until the parent has no more."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(value: Any) -> None:
    """In a child: say it."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _without_settings() -> dict[str, str]:
    """The environment less what would configure a contender: all run as installed."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "TICKSPAN_", "PYTHON", "DD_"))
    }
