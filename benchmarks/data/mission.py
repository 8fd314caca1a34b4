"""The figures that tickspan is held to, as `tickspan bench` prints them on any machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.place import Place
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from scripts import backends, servers

_TIMEOUT_S: Final = 120.0
_DRIVER: Final = "postgresql+psycopg"


def figures(place: Place, progress: Progress) -> Section:
    """Each action of `tickspan bench` in a process of its own; `pools` on SQLite and on PostgreSQL."""
    seconds = str(place.scale.asking_s)
    answers: dict[str, Mapping[str, Any]] = {}
    faults: list[str] = []
    with _postgresql() as (url, reason):
        asked: dict[str, tuple[list[str], dict[str, str]]] = {
            "cache": (["cache"], {}),
            "redis": (["redis", "--url", place.url], {}),
            "pools, SQLite": (["pools"], {}),
        }
        if url:
            asked["pools, PostgreSQL"] = (["pools"], {"DATABASE_URL": url})
        for name, (words, settings) in asked.items():
            progress(name)
            came = _asked([*words, "--json", "--seconds", seconds], settings)
            if isinstance(came, str):
                faults.append(f"mission: {name}: {came}")
            else:
                answers[name] = came
    told = [figure for answer in answers.values() for figure in answer["figures"]]
    return Section(
        "mission",
        (_table(told, reason), *(_paths(name, answer) for name, answer in answers.items())),
        tuple(_target(figure) for figure in told),
        tuple(faults),
        {"answers": answers},
    )


@contextmanager
def _postgresql() -> Generator[tuple[str, str]]:
    """The URL of an empty database, or why there is none."""
    found = backends.backend("postgresql")
    if not isinstance(found, backends.Backend):
        yield "", str(found)
        return
    with servers.postgresql_server(found.executable) as server:
        yield server.url.replace("postgresql", _DRIVER, 1), ""


def _asked(words: list[str], settings: Mapping[str, str]) -> Mapping[str, Any] | str:
    """The answer of `tickspan bench`, or its last words."""
    foreign = ("OTEL_", "TICKSPAN_", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(
            [sys.executable, "-m", "tickspan", "bench", *words],
            env={**environment, **settings},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if done.returncode == 0:
            return json.loads(done.stdout)
        errors.seek(0)
        return errors.read().strip().rpartition("\n")[2]


def _table(told: list[Mapping[str, Any]], reason: str) -> Table:
    columns = ("what", "target", "found", "method", "limit")
    return Table(
        "What tickspan is held to",
        ("figure", "target", "ours", "method", "where the limit lies"),
        tuple(tuple(str(figure[column]) for column in columns) for figure in told),
        f"PostgreSQL is missing: {reason}" if reason else "",
    )


def _paths(name: str, answer: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            path["name"],
            f"{path['timing']['per_second']:,.0f}",
            f"{path['timing']['p50_s'] * 1e6:,.2f}",
            f"{path['timing']['p99_s'] * 1e6:,.2f}",
        )
        for path in answer["paths"]
    )
    return Table(f"`tickspan bench {name}`", ("path", "per second", "p50, µs", "p99, µs"), rows)


def _target(figure: Mapping[str, Any]) -> Target:
    return Target(figure["what"], OURS, figure["target"], figure["found"], figure["is_met"])
