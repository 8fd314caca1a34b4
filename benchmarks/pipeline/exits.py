"""The end of a process whose collector is dead, and what of its telemetry the next start still delivers."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.sidebyside.lines import Child, ChildError, Launch, last_words

from . import processes
from .contenders import EMPTY, OURS, PURE, Contender, endpoints, of_signal
from .peers import ROOT
from .place import Place, UnavailableError
from .race import Progress
from .scale import Scale
from .sections import Section, Table, Target

_SPANS: Final = 1_000
"""Fewer than any contender's queue holds."""
_EXPECTED: Final = {"spans": _SPANS, "metrics": _SPANS, "logs": _SPANS // 10}
_EXIT_S: Final = 2.5
_RECOVERY_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Left:
    """How a process left, and what came of its records."""

    took_s: float | None
    """From the end of its main to its own; None: killed, it had not ended in time."""
    signals: tuple[str, ...]
    """That it had pending."""
    recovered: dict[str, int]
    """Records of each signal that came after the next start."""

    @property
    def lost(self) -> dict[str, int]:
        """What did not come."""
        return {signal: _EXPECTED[signal] - self.recovered[signal] for signal in self.signals}


def exits(place: Place, scale: Scale, progress: Progress) -> Section:
    """All contenders at once, since they wait for the most part."""
    progress("all at once")
    contenders = [contender for contender in of_signal("spans") if contender.name != EMPTY]
    with ThreadPoolExecutor(len(contenders)) as pool:
        outcomes = {
            contender.name: pool.submit(_left, place, contender, scale.exit_patience_s)
            for contender in contenders
        }
    found = {name: outcome.result() for name, outcome in outcomes.items()}
    columns = ("contender", "exit s", "pending", "lost at the next start")
    note = (
        "exit: from the end of main to the end of the process; the collector's port refuses. "
        f"Pending: {_SPANS:,} spans, {_SPANS:,} additions to a counter, {_SPANS // 10} log records, as far "
        "as a contender has the signal. Then a collector listens on that port and the program starts again "
        "without recording anything."
    )
    title = "Exit with a dead collector (1 run, all at once)"
    return Section(
        "exit",
        (Table(title, columns, tuple(_row(name, left, scale) for name, left in found.items()), note),),
        tuple(target for name in (OURS, PURE) for target in _targets(name, found[name], scale)),
        tuple(f"exit, {name}: {found[name]}" for name in (OURS, PURE) if isinstance(found[name], str)),
        {name: left if isinstance(left, str) else asdict(left) for name, left in found.items()},
    )


def _left(place: Place, contender: Contender, patience_s: float) -> Left | str:
    """What happened, or why it could not."""
    folder = Path(tempfile.mkdtemp(prefix="exit-", dir=place.folder))
    try:
        with _dead_port() as port:
            settings = {
                **place.launch_settings(contender, folder),
                **endpoints(contender, f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"),
            }
            launch = Launch(place.python(contender), (ROOT,), settings, folder / "stderr")
            took_s = _ended(contender, launch, patience_s)
        return Left(took_s, tuple(contender.recorders), _recovered(contender, launch, port))
    except (UnavailableError, ChildError) as reason:
        return str(reason)
    finally:
        processes.end_agents(folder)


@contextmanager
def _dead_port() -> Generator[int]:
    """A port that refuses: bound by us, so that nobody else gets it, and not listened on."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def _ended(contender: Contender, launch: Launch, patience_s: float) -> float | None:
    """How long the process took to end, or None."""
    with _program(contender, launch, _SPANS) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ChildError(f"ended before its main did: {last_words(launch.errors)}")
        end_ns = json.loads(line)["end_ns"]
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
        return (time.perf_counter_ns() - end_ns) / 1e9


def _recovered(contender: Contender, launch: Launch, port: int) -> dict[str, int]:
    """What a collector on that port gets when the program has started again."""
    protocol = "grpc" if contender.name == "stock-grpc" else "http"
    with Child(
        "benchmarks.pipeline.sink", protocol, str(port), launch=Launch(launch.python, (ROOT,))
    ) as sink:
        sink.hello()
        with _program(contender, launch, 0) as process:
            process.wait(_RECOVERY_S)
        return {
            signal: sink.ask(
                {
                    "ask": "await",
                    "signal": signal,
                    "count": _EXPECTED[signal],
                    "patience_s": _patience(contender),
                }
            )["count"]
            for signal in contender.recorders
        }


def _patience(contender: Contender) -> float:
    """Who keeps nothing has nothing to wait for; ours waits for a sender that has backed off."""
    return _RECOVERY_S if contender.is_ours else 1.0


def _program(contender: Contender, launch: Launch, spans: int) -> subprocess.Popen[str]:
    recorders = ",".join(f"{signal}={recorder}" for signal, recorder in contender.recorders.items())
    assert launch.errors is not None
    with launch.errors.open("wb") as errors:
        return subprocess.Popen(
            [launch.python, "-m", "benchmarks.pipeline.leaving", recorders, str(spans)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=launch.environment(),
        )


def _row(name: str, left: Left | str, scale: Scale) -> tuple[str, ...]:
    if isinstance(left, str):
        return (name, left, "", "")
    lost = ", ".join(
        f"{count:,} of {_EXPECTED[signal]:,} {signal}" for signal, count in left.lost.items() if count
    )
    return (name, _seconds(left, scale), ", ".join(left.signals), lost or "nothing")


def _seconds(left: Left, scale: Scale) -> str:
    return f"> {scale.exit_patience_s:g}, killed" if left.took_s is None else f"{left.took_s:.2f}"


def _targets(name: str, left: Left | str, scale: Scale) -> tuple[Target, ...]:
    what = "exit with a dead collector"
    if isinstance(left, str):
        return (Target(what, name, f"≤ {_EXIT_S:g} s", left, None),)
    lost: Any = {signal: count for signal, count in left.lost.items() if count}
    is_quick = left.took_s is not None and left.took_s <= _EXIT_S
    return (
        Target(what, name, f"≤ {_EXIT_S:g} s", _seconds(left, scale), is_quick),
        Target("lost at the next start", name, "nothing", str(lost) if lost else "nothing", not lost),
    )
