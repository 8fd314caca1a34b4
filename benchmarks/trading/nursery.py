"""A process that imports the libraries once, and forks a child for every turn.

Turns so share hash seed, code and memory layout: two of them differ in what was switched on.
tickspan is imported in the child, where it is decided which form of it runs.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.sidebyside.lines import Child, ChildError, Launch, answer, questions

_TURN_TIMEOUT_S: Final = 240.0
_LIBRARIES: Final = (
    "aiohttp",
    "ccxt.pro",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.metrics.export",
    "opentelemetry.sdk.trace.export",
)


@dataclass(frozen=True, slots=True)
class Nursery:
    """The process, from outside."""

    child: Child

    def turn(self, place: str, settings: Mapping[str, str] | None = None, **arguments: Any) -> Any:
        """What `module:function` of this package returns, in a child with these environment variables.

        Raises:
            ChildError: the turn failed; its last words.
        """
        said = self.child.ask({"place": place, "settings": dict(settings or {}), "arguments": arguments})
        if "failed" in said:
            raise ChildError(f"{place}: {said['failed']}")
        return said["result"]


def nursery(launch: Launch) -> Child:
    """Start one; `hello()` waits until everything is imported."""
    return Child("benchmarks.trading.nursery", launch=launch)


def main() -> None:
    """Import, say so, and let turns be taken."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is imported is nobody's garbage, and its pages stay shared
    answer({"libraries": list(_LIBRARIES)})
    for question in questions():
        answer(_turn(question))


def _turn(question: Mapping[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _live(question, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(said) if said else {"failed": f"ended with status {status} and said nothing"}


def _live(question: Mapping[str, Any], writing: int) -> None:
    """In the child; never returns."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed is no answer
    os.environ.update(question["settings"])
    faulthandler.dump_traceback_later(_TURN_TIMEOUT_S, exit=True)
    try:
        module, _, name = question["place"].partition(":")
        turn = getattr(importlib.import_module(f"benchmarks.trading.{module}"), name)
        said: dict[str, Any] = {"result": turn(**question["arguments"])}
    except BaseException as error:  # noqa: BLE001 - a process's top: the parent is told
        traceback.print_exc()
        said = {"failed": f"{type(error).__name__}: {error}"}
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(said).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
