"""Profilers that look at a process from outside: started on its id, stopped, and their CPU time."""

from __future__ import annotations

import re
import select
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.pipeline import processes
from benchmarks.sidebyside.lines import ChildError

_PATIENCE_S: Final = 10.0
_FAREWELL_S: Final = 0.2
_SAMPLES: Final = re.compile(rb"[Ss]amples: (\d+)")


def _py_spy(program: str, pid: int, hz: float, path: Path) -> list[str]:
    rate = ["--rate", f"{hz:.0f}", "--duration", "3600"]
    return [program, "record", "--pid", str(pid), *rate, "--format", "raw", "--output", str(path)]


def _austin(program: str, pid: int, hz: float, path: Path) -> list[str]:
    return [program, "--interval", f"{1e6 / hz:.0f}", "--pid", str(pid), "--output", str(path)]


PROGRAMS: Final[Mapping[str, Callable[[str, int, float, Path], list[str]]]] = {
    "py-spy": _py_spy,
    "austin": _austin,
}


def lacking(program: Path) -> str:
    """Why a program cannot run on this machine; empty when it can."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        return error.strerror or "cannot be started"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().rpartition("\n")[2].replace(str(program), program.name)
    return said.removeprefix(f"{program.name}: ") or "fails"


@dataclass(slots=True)
class Looking:
    """A profiler that looks at a process."""

    pid: int
    said: bytes = b""
    began_ns: int = 0
    figures: dict[str, float] = field(default_factory=dict[str, float])
    """`own_cpu_s` from the first look on, and `samples` where it tells."""


@contextmanager
def looking(folder: Path, name: str, pid: int, hz: float) -> Generator[Looking]:
    """Look at a process while the block lasts.

    Args:
        folder: of the programs.
        name: of one.
        pid: of the process.
        hz: looks a second.

    Raises:
        ChildError: it does not look; the text holds the last line of what it said.
    """
    output = folder / f"{name}-{pid}.samples"
    command = PROGRAMS[name](str(folder / name), pid, hz, output)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    try:
        looks = Looking(process.pid, _first_words(process))
        looks.began_ns = processes.cpu_ns(process.pid)
        yield looks
        if process.poll() is not None:
            raise ChildError(f"{name} ended: {_last_line(looks.said + _rest(process))}")
        looks.figures["own_cpu_s"] = (processes.cpu_ns(process.pid) - looks.began_ns) / 1e9
        process.send_signal(signal.SIGINT)
        looks.said += _rest(process)
        counted = _SAMPLES.search(looks.said)
        if counted is not None:
            looks.figures["samples"] = int(counted[1])
    finally:
        process.kill()
        process.communicate()
        output.unlink(missing_ok=True)


def _first_words(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], _PATIENCE_S)[0]:
        raise ChildError(f"it said nothing within {_PATIENCE_S:g} s")
    said: bytes = process.stdout.read(4096) or b""
    with suppress(subprocess.TimeoutExpired):  # who may not look says so, and ends
        process.wait(_FAREWELL_S)
        raise ChildError(_last_line(said + _rest(process)))
    return said


def _rest(process: subprocess.Popen[bytes]) -> bytes:
    try:
        return process.communicate(timeout=_PATIENCE_S)[0] or b""
    except subprocess.TimeoutExpired:
        return b""


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
