"""Start-up: the import alone, and a program under each launcher until its first line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import Launch

from . import processes
from .figures import percentile, ratios, spread_of
from .peers import ROOT
from .place import Place
from .race import Progress
from .scale import Scale
from .sections import Section, Table, Target, at_most, multiple

_IMPORT: Final = """\
import time
start = time.perf_counter_ns()
import tickspan
print(time.perf_counter_ns() - start)
"""
_PROGRAM: Final = "import time\nprint(time.perf_counter_ns())\n"
_IMPORT_NS: Final = 10_000_000
_BARE, _STOCK, _OURS = "python", "opentelemetry-instrument", "tickspan run"


def starts(place: Place, scale: Scale, progress: Progress) -> Section:
    """Import of tickspan; a one-line program bare, under the stock launcher, and under ours."""
    progress("import")
    imports = [_output(_Command((sys.executable, "-c", _IMPORT))) for _ in range(scale.starts)]
    folder = place.folder / "start"
    folder.mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    commands = _commands(place, program, folder)
    times: dict[str, dict[int, float]] = {name: {} for name in commands}
    for number in range(scale.starts):
        progress(f"round {number + 1} of {scale.starts}")
        for name, command in commands.items():
            times[name][number] = _until_first_line_ns(command)
    processes.end_agents(folder)
    return _section(imports, times, scale.starts, place.peers.missing.get("opentelemetry-distro"))


class _Command:
    """A command with the environment of a contender."""

    def __init__(self, words: tuple[str, ...], settings: dict[str, str] | None = None) -> None:
        self.words = words
        self.environment = Launch(path=(), settings=settings or {}).environment()


def _commands(place: Place, program: Path, folder: Path) -> dict[str, _Command]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": place.http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "bench",
    }
    ours, peers = Path(sys.executable).parent, place.peers.home / "bin"
    commands = {_BARE: _Command((sys.executable, str(program)))}
    if "opentelemetry-distro" not in place.peers.missing:
        words = (str(peers / "opentelemetry-instrument"), str(peers / "python"), str(program))
        commands[_STOCK] = _Command(words, settings)
    spool = {**settings, "TICKSPAN_SPOOL_DIR": str(folder)}
    words = (str(ours / "tickspan"), "run", "--", sys.executable, str(program))
    return {**commands, _OURS: _Command(words, spool)}


def _output(command: _Command) -> int:
    done = subprocess.run(
        command.words,
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT / "benchmarks",
        env=command.environment,
    )
    return int(done.stdout)


def _until_first_line_ns(command: _Command) -> float:
    start = time.perf_counter_ns()
    return _output(command) - start


def _section(
    imports: list[int], times: dict[str, dict[int, float]], rounds: int, missing: str | None
) -> Section:
    typical = percentile(imports, 0.5)
    rows = [("import tickspan", f"{typical / 1e6:.1f}", f"{min(imports) / 1e6:.1f}", "")]
    for name, by_round in times.items():
        values = list(by_round.values())
        row = (name, f"{median(values) / 1e6:,.0f}", f"{min(values) / 1e6:,.0f}", _cell(times, name))
        rows.append(row)
    if missing is not None:
        rows.append((_STOCK, f"cannot be installed: {missing}", "", ""))
    note = (
        "import: in a fresh interpreter. The others: from the command to the program's first line; it "
        "calls no instrumented library."
    )
    targets = (
        Target("import tickspan", "tickspan", "≤ 10 ms", f"{typical / 1e6:.1f} ms", typical <= _IMPORT_NS),
        at_most("start-up over opentelemetry-instrument", _OURS, _over_stock(times, _OURS), 1.0, 0.5),
    )
    columns = ("what", "median ms", "best ms", "x opentelemetry-instrument")
    title = f"Start-up ({rounds} rounds)"
    data = {"imports_ns": imports, "starts_ns": times}
    return Section("startup", (Table(title, columns, tuple(rows), note),), targets, (), data)


def _over_stock(times: dict[str, dict[int, float]], name: str) -> Spread | None:
    return spread_of(ratios(times[name], times.get(_STOCK, {})))


def _cell(times: dict[str, dict[int, float]], name: str) -> str:
    return "1" if name == _STOCK else multiple(_over_stock(times, name))
