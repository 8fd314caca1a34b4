"""What can be asked of a spool from outside: its status, that it be drained, that its agent end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.home import FORMAT_FOLDER
from tickspan_spool.liaison import AgentPlaces, ask, holder
from tickspan_spool.liaison.launch import ensure

from .age import oldest_age_s
from .household import AGENT_ARGUMENT
from .letterbox import Redriven, letters
from .options import AgentOptions
from .report import Counts, total
from .service import run as serve
from .state import AgentState, AgentStatus, ProcessStatus

_POLL_S: Final = 0.02
_LOOKS: Final = 20
_ASKING_S: Final = 2.0


def run(directory: Path | str) -> int:
    """Serve in the foreground until SIGTERM or SIGINT, every environment that has no agent of its own.

    Returns 0, or `ANOTHER_RUNS`. Raises OSError when the spool cannot be used.
    """
    from .logfile import start_logging

    start_logging(None)
    options = AgentOptions.from_environment(os.environ, adopts_all=True)
    return serve(AgentPlaces.of(directory), options, os.environ)


def status(directory: Path | str) -> AgentStatus:
    """The state of a spool, with or without a living agent. Changes nothing in it."""
    spool = SpoolDirectory(directory)
    states = [(state, is_alive) for state, is_alive in _states(Path(directory))]
    processes, totals = _counted(spool)
    return AgentStatus(
        directory=str(directory),
        agents=tuple(state for state, is_alive in states if is_alive),
        processes=processes,
        signals=total([totals, *(process.signals for process in processes)]),
        oldest_age_s=max((process.oldest_age_s for process in processes), default=0.0),
        size_bytes=spool.size_bytes(),
        dead_letters=len(letters(Path(directory))),
        last_agents=tuple(state for state, is_alive in states if not is_alive),
    )


def _counted(spool: SpoolDirectory) -> tuple[tuple[ProcessStatus, ...], Counts]:
    """The processes that have a folder, and the totals of those that are gone, at one moment.

    An agent may fold a folder into the totals meanwhile: then it would be counted twice, or not at all.
    """
    folders: list[ProcessFolder] = []
    for _ in range(_LOOKS):
        totals, folders = spool.totals(), spool.folders()
        with suppress(FileNotFoundError):
            processes = tuple(map(_process_status, folders))
            if spool.totals() == totals and all(folder.path.is_dir() for folder in folders):
                return processes, totals
    return tuple(_those_that_are_there(folders)), spool.totals()


def _those_that_are_there(folders: Iterable[ProcessFolder]) -> Iterable[ProcessStatus]:
    for folder in folders:
        with suppress(FileNotFoundError):
            yield _process_status(folder)


def drain(directory: Path | str, timeout_s: float) -> bool:
    """Wait until nothing waits in the spool; False when it takes longer. Starts an agent if none lives."""
    places = AgentPlaces.of(directory)
    deadline = time.monotonic() + timeout_s
    is_first = True
    while True:
        answer = ask(places.socket, {"command": "drain", "first": is_first}, _ASKING_S)
        is_first = is_first and answer is None
        if not _in_spool(places.directory):
            return True
        if answer is None:
            ensure(places)
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)


def stop(directory: Path | str, timeout_s: float = 30.0) -> bool:
    """End the agent of this environment; True when none lives any more. What waits stays in the spool.

    A process that still records starts another one.
    """
    places = AgentPlaces.of(directory)
    before = holder(places)
    if before is None:
        return True
    ask(places.socket, {"command": "stop"}, _ASKING_S)
    return _comes_true(lambda: holder(places) != before, timeout_s)


def redrive(directory: Path | str, name: str | None = None) -> Redriven | None:
    """Have the agent record a dead letter once more, or all; None when no agent answers."""
    answer = ask(AgentPlaces.of(directory).socket, {"command": "redrive", "name": name}, _ASKING_S * 5)
    if answer is None or not answer.get("ok"):
        return None
    return Redriven(int(answer.get("redriven", 0)), dict(answer.get("kept", {})))


def hasten(directory: Path | str) -> bool:
    """Have the agent look for records more often for a second; False when none answers."""
    return ask(AgentPlaces.of(directory).socket, {"command": "hurry"}) is not None


def _in_spool(directory: Path) -> int:
    folders = SpoolDirectory(directory).folders()
    return sum(ledger.in_spool for folder in folders for ledger in folder.ledger().values())


def _states(directory: Path) -> Iterable[tuple[AgentState, bool]]:
    """What every agent of the spool says, or said last, and whether it lives."""
    for path in sorted((directory / FORMAT_FOLDER / "agents").glob("*.lock")):
        places = AgentPlaces.of(directory, path.stem)
        with suppress(OSError, ValueError, TypeError):
            is_alive = holder(places) is not None
            answer = ask(places.socket, {"command": "status"}, _ASKING_S) if is_alive else None
            yield AgentState.from_json(answer["state"] if answer else _read(places.status)), is_alive


def _read(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_bytes())


def _process_status(folder: ProcessFolder) -> ProcessStatus:
    described = folder.description
    return ProcessStatus(
        folder=folder.path.name,
        pid=described.pid,
        service_name=described.service_name,
        environment=described.environment_id,
        is_alive=folder.is_alive(),
        is_agent=described.argv0 == AGENT_ARGUMENT,
        oldest_age_s=oldest_age_s(folder),
        signals=folder.ledger(),
    )


def _comes_true(claim: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
