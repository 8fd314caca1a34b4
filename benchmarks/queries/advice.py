"""Index advice beside other advisors' rules: TPC-H in a PostgreSQL of its own, judged with real indexes.

    python benchmarks/queries/advice.py [--scale 0.1] [--json]

Each advisor names its indexes through hypopg; they are then built, every query is planned with them, and
they are dropped. The figure is the geometric mean of the cost that is left to each query. Q2, Q17 and Q20
repeat a subquery for every row, and any index on its key makes them thousands of times cheaper: the mean is
also told without them.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import psycopg

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.queries import peers, tpch
from benchmarks.queries.place import QUICK, Place
from scripts import backends, servers
from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.advice import advise, tasks_of
from tickspan.analysis.indexes.ddl import definition, quoted
from tickspan.analysis.indexes.select import Limits, select
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.postgresql import read_schema
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.processors.queries.whatif.hypopg import HypopgWhatIf

_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}
OUTLIERS = ("Q2", "Q17", "Q20")
SUBSETS = (("Q3", "Q6", "Q12", "Q14"), ("Q4", "Q5", "Q10", "Q22"), ("Q2", "Q11", "Q15", "Q19"))
_MOST_COMBINED = 3
_POOL = 14
_PEERS: Mapping[str, Callable[..., list[IndexSpec]]] = {
    "dexter's rule": peers.dexter,
    "index_advisor's rule": peers.index_advisor,
    "every compared column": peers.every_compared_column,
    "best single columns": peers.best_singles,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one advisor's indexes do when they are built.

    Attributes:
        advisor: who named them.
        indexes: how many.
        size_mib: of all, on disk.
        left: geometric mean of the cost that is left, all queries.
        mean_left: their arithmetic mean, what the search looks at.
        left_without_outliers: `left` without `OUTLIERS`.
        estimated: `left`, as hypopg saw it.
        explains: how often the planner was asked.
        seconds: it took to name them.
    """

    advisor: str
    indexes: int
    size_mib: float
    left: float
    mean_left: float
    left_without_outliers: float
    estimated: float
    explains: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Exhaustive:
    """Ours beside every combination of up to three indexes: mean share of cost that is left, by hypopg."""

    queries: tuple[str, ...]
    indexes: int
    best: float
    ours: float
    combinations: int


class Bench:
    """One loaded database, one connection."""

    def __init__(self, url: str, folder: Path, scale: float) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("CREATE EXTENSION IF NOT EXISTS hypopg")
        self.probe = PostgresqlProbe(url)
        self._load(folder, scale)
        self.schema: Schema = read_schema(self.connection)
        self.queries = [
            WorkloadQuery(sql, canonicalise(sql, Dialect.POSTGRESQL).fingerprint, name=name)
            for name, sql in tpch.QUERIES.items()
        ]
        self.before = self._costs()

    def _load(self, folder: Path, scale: float) -> None:
        tool = Path(sys.executable).with_name("tpchgen-cli")
        subprocess.run(
            [tool, "csv", "-s", str(scale), "--output-dir", folder], check=True, capture_output=True
        )
        for name, columns in tpch.TABLES.items():
            self.connection.execute(f"CREATE TABLE {name} ({columns})".encode())
            copy = f"COPY {name} FROM STDIN (FORMAT csv, HEADER)".encode()
            with (
                (folder / f"{name}.csv").open("rb") as source,
                self.connection.cursor().copy(copy) as target,
            ):
                while block := source.read(1 << 20):
                    target.write(block)
        self.connection.execute("VACUUM (ANALYZE)")

    def peer(self, name: str, rule: Callable[..., list[IndexSpec]]) -> tuple[Result, list[IndexSpec]]:
        """Ask another advisor's rule, and judge it."""
        counted = peers.Counted(HypopgWhatIf(self.probe, self.schema), self.schema)
        started = time.perf_counter()
        indexes = rule(self.queries, self.schema, counted)
        seconds = time.perf_counter() - started
        return self.judged(name, indexes, counted.explains, seconds), indexes

    def ours(self, name: str, limits: Limits) -> Result:
        """Ask our own, within limits, and judge it."""
        whatif = HypopgWhatIf(self.probe, self.schema)
        started = time.perf_counter()
        if limits == Limits(limits.storage_bytes):
            found = advise(
                self.queries,
                self.schema,
                Dialect.POSTGRESQL,
                whatif=whatif,
                storage_bytes=limits.storage_bytes,
            )
            indexes, explains = [advice.index for advice in found.advice], found.explains
        else:
            tasks = tasks_of(self.queries, self.schema, Dialect.POSTGRESQL)
            chosen = select(tasks, whatif, limits)
            indexes, explains = [item.index for item in chosen.indexes], chosen.explains
        return self.judged(name, indexes, explains, time.perf_counter() - started)

    def judged(self, name: str, indexes: Sequence[IndexSpec], explains: int, seconds: float) -> Result:
        """Build, plan, drop."""
        whatif = HypopgWhatIf(self.probe, self.schema)
        estimated = {
            query.name: whatif.used(query, indexes).cost / self.before[query.name] for query in self.queries
        }
        whatif.close()
        for number, spec in enumerate(indexes):
            table = quoted(spec.table, Dialect.POSTGRESQL)
            ddl = f"CREATE INDEX bench_{number} ON {table} {definition(spec, Dialect.POSTGRESQL)}"
            self.connection.execute(ddl.encode())
        if any("(" in key for spec in indexes for key in spec.keys):
            self.connection.execute("VACUUM (ANALYZE)")  # an expression's statistics come with its index
        left = {name: cost / self.before[name] for name, cost in self._costs().items()}
        size = sum(self._size(f"bench_{number}") for number in range(len(indexes)))
        for number in range(len(indexes)):
            self.connection.execute(f"DROP INDEX bench_{number}".encode())
        return Result(
            name,
            len(indexes),
            round(size / 2**20, 1),
            _mean(left.values()),
            sum(left.values()) / len(left),
            _mean(share for query, share in left.items() if query not in OUTLIERS),
            _mean(estimated.values()),
            explains,
            round(seconds, 2),
        )

    def exhaustive(self, names: Sequence[str]) -> list[Exhaustive]:
        """Every combination of up to three indexes of those that plans use, beside ours of that number."""
        queries = [query for query in self.queries if query.name in names]
        whatif = peers.Counted(HypopgWhatIf(self.probe, self.schema), self.schema)
        tasks = tasks_of(queries, self.schema, Dialect.POSTGRESQL)
        pool = list(
            dict.fromkeys(
                spec
                for task in tasks
                for offered in (task.candidates, [spec for spec in task.candidates if spec.width == 1])
                for spec in sorted(whatif.used(task.query, offered).used, key=repr)
            )
        )[:_POOL]
        found: list[Exhaustive] = []
        for count in range(1, _MOST_COMBINED + 1):
            every = [*combinations(pool, count)]
            best = min(self._mean_left(queries, chosen, whatif) for chosen in every)
            ours = [item.index for item in select(tasks, whatif, Limits(indexes=count)).indexes]
            found.append(
                Exhaustive(tuple(names), count, best, self._mean_left(queries, ours, whatif), len(every))
            )
        return found

    def _mean_left(
        self, queries: Sequence[WorkloadQuery], indexes: Sequence[IndexSpec], whatif: peers.Counted
    ) -> float:
        return sum(whatif.used(query, indexes).cost / self.before[query.name] for query in queries) / len(
            queries
        )

    def _costs(self) -> dict[str, float]:
        whatif = HypopgWhatIf(self.probe, Schema())
        return {query.name: whatif.used(query, ()).cost for query in self.queries}

    def _size(self, name: str) -> int:
        row = self.connection.execute("SELECT pg_relation_size(%s::regclass)", (name,)).fetchone()
        assert row is not None
        return int(row[0])


def measure(bench: Bench) -> dict[str, Any]:
    """All advisors, ours at each one's number and size, and the exhaustive searches."""
    results: list[Result] = []
    for name, rule in _PEERS.items():
        theirs, _ = bench.peer(name, rule)
        results += [
            theirs,
            bench.ours(f"ours, {theirs.indexes} indexes", Limits(indexes=theirs.indexes)),
            bench.ours(f"ours, {theirs.size_mib:g} MiB", Limits(int(theirs.size_mib * 2**20))),
        ]
    results.append(bench.ours("ours, no limit", Limits()))
    searches = [item for names in SUBSETS for item in bench.exhaustive(names)]
    return {
        "advisors": [asdict(result) for result in results],
        "exhaustive": [asdict(item) for item in searches],
    }


def run(scale: float = 0.1) -> dict[str, Any]:
    """Start a server, load it, measure. Raises `RuntimeError` when PostgreSQL or hypopg is not there."""
    found = backends.backend("hypopg")
    if not isinstance(found, backends.Backend):
        raise RuntimeError(str(found))  # noqa: TRY004 - missing, not mistaken
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.postgresql_server(found.executable, _SETTINGS) as server,
    ):
        bench = Bench(server.url, Path(folder), scale)
        try:
            return {"scale": scale, **measure(bench)}
        finally:
            bench.probe.close()
            bench.connection.close()


def advised(place: Place, progress: Progress) -> Section:
    """The measurement `advice` of `run.py`: a hundredth of the scale in a quick run."""
    progress("loading TPC-H, then naming and building indexes: some minutes")
    measured = run(0.01 if place.scale is QUICK else 0.1)
    rows = measured["advisors"]
    columns = ("advisor", "indexes", "MiB", "left", "mean", "without outliers", "EXPLAINs", "seconds")
    table_of_advisors = Table(
        "Index advice, TPC-H, real indexes",
        columns,
        tuple(
            (
                row["advisor"],
                str(row["indexes"]),
                f"{row['size_mib']:g}",
                f"{row['left']:.3f}",
                f"{row['mean_left']:.3f}",
                f"{row['left_without_outliers']:.3f}",
                str(row["explains"]),
                f"{row['seconds']:.1f}",
            )
            for row in rows
        ),
        "Geometric and arithmetic mean of the cost that is left to each of 22 queries; outliers: "
        f"{', '.join(OUTLIERS)}.",
    )
    exhaustive = Table(
        "Beside every combination of up to three indexes",
        ("queries", "indexes", "combinations", "best", "ours"),
        tuple(
            (
                " ".join(row["queries"]),
                str(row["indexes"]),
                str(row["combinations"]),
                f"{row['best']:.3f}",
                f"{row['ours']:.3f}",
            )
            for row in measured["exhaustive"]
        ),
    )
    return Section("advice", (table_of_advisors, exhaustive), tuple(_targets(measured)), data=measured)


def _targets(measured: Mapping[str, Any]) -> Iterator[Target]:
    rows = {row["advisor"]: row for row in measured["advisors"]}
    for name in _PEERS:
        theirs = rows[name]
        for ours in (f"ours, {theirs['indexes']} indexes", f"ours, {theirs['size_mib']:g} MiB"):
            yield Target(
                f"cost left, {ours.removeprefix('ours, ')}",
                name,
                f"≤ {theirs['left']:.3f}",
                f"{rows[ours]['left']:.3f}",
                rows[ours]["left"] <= theirs["left"],
            )
    least = min(rows[name]["left"] for name in _PEERS)
    free = rows["ours, no limit"]["left"]
    yield Target(
        "cost left, no limit", "the best of them", f"≤ {least * 0.7:.3f}", f"{free:.3f}", free <= least * 0.7
    )
    for row in measured["exhaustive"]:
        wanted = row["best"] * 1.02
        what = f"{row['indexes']} indexes for {' '.join(row['queries'])}"
        yield Target(what, "exhaustive", f"≤ {wanted:.3f}", f"{row['ours']:.3f}", row["ours"] <= wanted)


def _mean(shares: Any) -> float:
    values = list(shares)
    return math.exp(sum(math.log(value) for value in values) / len(values))


_LINE = "{:26} {:>4} {:>7} {:>7} {:>7} {:>8} {:>7} {:>6} {:>6}"


def table(measured: Mapping[str, Any]) -> str:
    """For people."""
    lines = [_LINE.format("advisor", "idx", "MiB", "left", "mean", "no outl.", "hypopg", "EXPL", "s")]
    for row in measured["advisors"]:
        shares = (row["left"], row["mean_left"], row["left_without_outliers"], row["estimated"])
        lines.append(
            _LINE.format(
                row["advisor"],
                row["indexes"],
                row["size_mib"],
                *(f"{share:.3f}" for share in shares),
                row["explains"],
                row["seconds"],
            )
        )
    lines += ["", "every combination, mean left: best / ours"]
    lines += [
        f"{' '.join(row['queries']):22} {row['indexes']} of {row['combinations']:>4}: "
        f"{row['best']:.3f} / {row['ours']:.3f}"
        for row in measured["exhaustive"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured = run(options.scale)
    print(json.dumps(measured, indent=2) if options.json else table(measured))


if __name__ == "__main__":
    main()
