"""How the processes of a run talk: one JSON value a line, a question and an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_STOP_TIMEOUT_S = 10.0
_BENCHMARKS = Path(__file__).parent.parent


class ChildError(Exception):
    """A child ended before it answered; its traceback is on stderr."""


class Child:
    """A module of this package as a process: asked, it answers; its first answer comes unasked."""

    def __init__(self, module: str, *arguments: str, overlay: Sequence[Path] = ()) -> None:
        """Start it, with `overlay` before the installed packages. `hello()` waits until it is ready."""
        path = os.pathsep.join(str(folder) for folder in (*overlay, _BENCHMARKS))
        self._name = " ".join((module, *arguments[:1]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"sidebyside.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**_without_settings(), "PYTHONPATH": path},
        )

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
            raise ChildError(f"{self._name} ended with status {self._process.wait()}: see above")
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
        if not name.startswith(("OTEL_", "TICKSPAN_", "PYTHON"))
    }
