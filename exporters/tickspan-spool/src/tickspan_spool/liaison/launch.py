"""Starts the agent from an application, so that the application never notices: detached, rarely, silently."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from tickspan_spool.fork import fork
from tickspan_spool.identity import pid_namespace

from .election import Holder, holder
from .places import AgentPlaces

_LOGGER = logging.getLogger("tickspan_spool.agent")

LAUNCH_EVERY_S: Final = 5.0
LAST_LAUNCH_AFTER_S: Final = 0.5
"""A process that ends leaves its records to somebody: it does not wait for the pause to be over."""
_LONGEST_PAUSE_S: Final = 300.0
_FAILURES_UNTIL_REFUSAL: Final = 3
_LAST_WAIT_S: Final = 0.8
_LAST_STEP_S: Final = 0.02
_REAPING_S: Final = 2.0
_REAPING_STEP_S: Final = 0.002
_DETACH: Final = Path(__file__).with_name("detach.py")

_LAUNCHERS: Final = ("tickspan/auto/site", "opentelemetry/instrumentation/auto_instrumentation")
"""Ends of the folders whose `sitecustomize` would instrument the agent itself."""
_NOT_FOR_THE_AGENT: Final = frozenset(
    {"NOTIFY_SOCKET", "PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONMALLOC", "PYTHONPROFILEIMPORTTIME"}
    | {"PYTHONTRACEMALLOC", "PYTHONWARNINGS"}
)
_FORCED: Final = {
    "OTEL_SDK_DISABLED": "true",
    "TICKSPAN_AGENT": "off",
    # What many threads free goes back to the system: glibc would keep a heap for each of them.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "262144",
}


_NOBODY: Final = Holder(0)


@dataclass(slots=True)
class _Attempts:
    """What this process has tried, per spool. A forked child starts anew."""

    pid: int = field(default_factory=os.getpid)
    failures: int = 0
    next_at: float = 0.0
    launched: bool = False
    agent: Holder = _NOBODY
    unreaped: list[int] = field(default_factory=list[int])


_ATTEMPTS: dict[AgentPlaces, _Attempts] = {}
_lock = threading.Lock()


def ensure(places: AgentPlaces, arguments: Sequence[str] = (), *, is_last: bool = False) -> Holder | None:
    """The agent that runs, else start one; None when there is none and none can be started.

    `Holder(0)` stands for an agent that is on its way. Cheap when one runs (three system calls). One start
    in five seconds for each process and, among all processes, for each environment; after three starts that
    led to no agent the answer is None, and the next tries come at growing intervals. `is_last` is the last
    try of a process that ends. Never raises.
    """
    if sys.is_finalizing():  # not yet true in exit handlers, where a program that ends soon gets its agent
        return None
    _watched()
    if not _lock.acquire(timeout=1.0):
        return None
    try:
        return _ensure(places, arguments, is_last=is_last)
    except Exception as error:  # noqa: BLE001 - the application's thread: no fault of ours may reach it
        _LOGGER.debug("no agent could be started: %s: %s", type(error).__name__, error)
        return None
    finally:
        _lock.release()


class _Memory:
    """What a forked child must not take over: the lock may be held by a thread that is not there."""

    def forget(self) -> None:
        """This is the child."""
        global _lock
        _lock = threading.Lock()
        _ATTEMPTS.clear()


@cache
def _watched() -> _Memory:
    memory = _Memory()
    fork().watch(memory)
    return memory


def _ensure(places: AgentPlaces, arguments: Sequence[str], *, is_last: bool) -> Holder | None:
    attempts = _ATTEMPTS.setdefault(places, _Attempts())
    found = holder(places)
    _reap(attempts, found)
    if found is not None:
        attempts.failures, attempts.launched = 0, False
        return found
    now = time.monotonic()
    if now < attempts.next_at and not is_last:
        return _hoped_for(attempts)
    if refusal() is not None:
        attempts.next_at = now + _LONGEST_PAUSE_S
        attempts.failures = _FAILURES_UNTIL_REFUSAL
        return None
    is_ours = attempts.launched
    if is_ours:
        attempts.failures += 1
    attempts.next_at = now + min(LAUNCH_EVERY_S * 2**attempts.failures, _LONGEST_PAUSE_S)
    attempts.launched = True
    if not is_last:
        _launch_once(places, arguments, attempts, LAUNCH_EVERY_S)
    elif is_ours:
        _launch_once(places, arguments, attempts, LAST_LAUNCH_AFTER_S)
    else:
        _launch_at_last(places, arguments, attempts)
    return _hoped_for(attempts)


def _hoped_for(attempts: _Attempts) -> Holder | None:
    return _NOBODY if attempts.failures < _FAILURES_UNTIL_REFUSAL else None


def refusal() -> str | None:
    """Why this interpreter cannot start an agent; None when it can.

    In a frozen or embedded interpreter `sys.executable` is the application: the "agent" would be another bot.
    """
    if getattr(sys, "frozen", False):
        return "the interpreter is frozen into an application"
    if "uwsgi" in sys.modules:
        return "the interpreter is embedded in uWSGI"
    name = Path(sys.executable or "").name
    if not name.startswith(("python", "pypy")) or not os.access(sys.executable, os.X_OK):
        return f"sys.executable is no Python: {sys.executable!r}"
    return None


def _launch_at_last(places: AgentPlaces, arguments: Sequence[str], attempts: _Attempts) -> None:
    """Start an agent, or see one that somebody else has started: that start may have come to nothing."""
    deadline = time.monotonic() + _LAST_WAIT_S
    while holder(places) is None:
        is_started = _launch_once(places, arguments, attempts, LAST_LAUNCH_AFTER_S)
        if is_started or time.monotonic() >= deadline:
            return
        time.sleep(_LAST_STEP_S)


def _launch_once(places: AgentPlaces, arguments: Sequence[str], attempts: _Attempts, pause_s: float) -> bool:
    """Start an agent unless another process did so a moment ago: whether it was started. Raises OSError."""
    places.prepare()
    fd = os.open(places.launching, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _is_first(fd, pause_s):
            return False
        launch(places, arguments, attempts.unreaped)
        os.ftruncate(fd, 0)  # only now: a process may become another program in the middle of this
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        return True
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child forked meanwhile shares the open file
        os.close(fd)


def _is_first(fd: int, pause_s: float) -> bool:
    """Whether no other process starts an agent now, or did in the last seconds."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    since_s = time.time() - os.fstat(fd).st_mtime  # wall-clock, but between processes there is no other
    return not (os.fstat(fd).st_size and 0 <= since_s < pause_s)


def launch(places: AgentPlaces, arguments: Sequence[str], unreaped: list[int]) -> None:
    """Start an agent that is nobody's child. Raises OSError.

    The process started here ends at once and is reaped here, by its number: `os.wait()` of the application
    finds nothing. What could not be reaped in time is left in `unreaped`.
    """
    agent = [sys.executable, "-P", "-m", "tickspan_spool.agent"]
    where = ["--directory", str(places.directory), "--environment", places.environment]
    command = [sys.executable, "-I", "-S", str(_DETACH), *agent, *where, *arguments]
    log_flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    pid = os.posix_spawn(
        sys.executable,
        command,
        environment(os.environ, _working_directory()),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(places.log), log_flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )
    unreaped.append(pid)
    deadline = time.monotonic() + _REAPING_S
    while not _is_reaped(pid):
        if time.monotonic() > deadline:
            return
        time.sleep(_REAPING_STEP_S)
    unreaped.remove(pid)


def _reap(attempts: _Attempts, agent: Holder | None) -> None:
    """Collect what ended. Process 1 of a container inherits the agent, and with it its end."""
    was, attempts.agent = attempts.agent, agent or _NOBODY
    if was.pid and was != agent and os.getpid() == 1 and was.namespace == pid_namespace():
        attempts.unreaped.append(was.pid)
    attempts.unreaped[:] = [pid for pid in attempts.unreaped if not _is_reaped(pid)]


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:  # the application ignores SIGCHLD, or waited for everything
        return True


def environment(inherited: Mapping[str, str], directory: str | None) -> dict[str, str]:
    """The application's environment, less what would instrument the agent or lead its imports astray."""
    kept = {name: value for name, value in inherited.items() if name not in _NOT_FOR_THE_AGENT}
    path = [
        entry for entry in kept.pop("PYTHONPATH", "").split(os.pathsep) if _is_for_the_agent(entry, directory)
    ]
    return {**kept, **_FORCED, **({"PYTHONPATH": os.pathsep.join(path)} if path else {})}


def _is_for_the_agent(entry: str, directory: str | None) -> bool:
    """The agent's own directory is `/`: a relative entry would mean another folder there."""
    whole = os.path.normpath(entry)
    return entry.startswith("/") and whole != directory and not whole.endswith(_LAUNCHERS)


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return None
