"""The outside ledger: what a workload has done, in a file that telemetry never touches."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SIGNALS: Final = ("traces", "logs")
_WRITE = os.write  # a saboteur replaces `os.write`; facts are no step of any protocol
_OPEN = os.open


class OutsideLedger:
    """Writes facts, one line each; lines of several processes never mix: each is one appending write."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self.open()

    def open(self) -> None:
        """Open the file (again): a daemon closes all descriptors that it finds."""
        self._descriptor = _OPEN(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, fact: str, value: object = "") -> None:
        """Write one fact; the process may die in the next instant."""
        line = f"{os.getpid()} {fact} {value!s}".replace("\n", "\\n") + "\n"
        _WRITE(self._descriptor, line.encode("utf-8", "replace"))

    def end_of_main(self) -> None:
        """The program's own work is over: from here on the clock of its exit runs."""
        self.note("end", f"{time.monotonic():.6f}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What an outside ledger says.

    Attributes:
        ended: ids per signal that certainly ended.
        possible: ids per signal that were about to end when the process died.
        counted: what was added to the counter, over all processes.
        raised: exceptions that reached the application.
        longest_ms: the longest call of telemetry that any process saw, and which call it was.
        end_of_main: the monotonic time at which each process had done its work.
        grown_mib: by how much the resident memory of the process that grew most has grown.
        notes: whatever else an act wanted to say.
    """

    ended: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    possible: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    counted: int = 0
    raised: tuple[str, ...] = ()
    longest_ms: float = 0.0
    longest_call: str = ""
    end_of_main: dict[int, float] = field(default_factory=dict[int, float])
    grown_mib: float = 0.0
    notes: tuple[str, ...] = ()


def read(lines: Iterable[str]) -> Facts:
    """The facts; a last line that death cut short counts for nothing."""
    told = [fact for line in lines if (fact := _fact(line)) is not None]
    begun = {signal: set(_values(told, f"begun-{signal}")) for signal in _SIGNALS}
    ended = {signal: Counter(_values(told, f"ended-{signal}")) for signal in _SIGNALS}
    longest = max((_duration(value) for value in _values(told, "longest")), default=(0.0, ""))
    return Facts(
        ended=ended,
        possible={signal: ids - set(ended[signal]) for signal, ids in begun.items()},
        counted=sum(map(int, _values(told, "counted"))),
        raised=tuple(_values(told, "raised")),
        longest_ms=longest[0],
        longest_call=longest[1],
        end_of_main={pid: float(value) for pid, name, value in told if name == "end"},
        grown_mib=max(map(float, _values(told, "grown")), default=0.0),
        notes=tuple(_values(told, "note")),
    )


def _fact(line: str) -> tuple[int, str, str] | None:
    """Process, name, value."""
    pid, _, rest = line.partition(" ")
    name, _, value = rest.rstrip("\n").partition(" ")
    return (int(pid), name, value) if line.endswith("\n") and pid.isdigit() else None


def _values(told: Iterable[tuple[int, str, str]], name: str) -> Iterator[str]:
    return (value for _, known_as, value in told if known_as == name)


def _duration(value: str) -> tuple[float, str]:
    milliseconds, _, call = value.partition(" ")
    return float(milliseconds), call


def read_file(path: Path) -> Facts:
    """The facts of a file that may not exist: then nothing has happened."""
    if not path.exists():
        return read(())
    with path.open(encoding="utf-8") as lines:
        return read(lines)
