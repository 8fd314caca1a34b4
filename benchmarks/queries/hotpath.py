"""What a statement costs the application: a known text, a new one, and all that an instrumentor adds."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.ground import ROOT, in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.queries.place import Place
from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import Child

_COMPILED_HOME: Final = ROOT / ".venv-bench"
_OVERLAY: Final = ROOT / ".generations" / "sqlalchemy-2.0"
_MICROSECOND: Final = 1_000
_KNOWN_TEXT_NS: Final = 2_000
_TIMES_FASTER: Final = 5
_SHARE_OF_UPSTREAM: Final = 0.25
Costs = dict[str, list[float]]
"""Nanoseconds of an operation by round, of "contender: operation"; the tenth percentile of its batches."""


def texts(place: Place, progress: Progress) -> Section:
    """A known text, a new one, and sqlglot on the same text in whichever forms are there."""
    contenders = {"tickspan": ("texts", ""), "sqlglot": ("sqlglot", "")}
    compiled = _compiled_sqlglot()
    if compiled:
        contenders["sqlglot[c]"] = ("sqlglot", compiled)
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(Child("benchmarks.queries.contender", module, launch=_launched(python)))
            for name, (module, python) in contenders.items()
        }
        said = {name: child.hello() for name, child in children.items()}
        costs = _taken(place, progress, children, said)
    return Section(
        "hotpath",
        (_texts_table(costs),),
        tuple(_texts_targets(costs)),
        (),
        {"costs": costs, "libraries": {name: one["library"] for name, one in said.items()}},
    )


def statements(place: Place, progress: Progress) -> Section:
    """SQLAlchemy bare, under upstream's instrumentor and under ours, each in a process of its own."""
    before = (_OVERLAY,) if _OVERLAY.is_dir() else ()
    with ExitStack() as stack:
        _, settings = stack.enter_context(place.spool())
        children = {
            name: stack.enter_context(_contender(name, place, settings, before))
            for name in ("bare", "bare, again", "upstream", "ours")
        }
        said = {name: child.hello() for name, child in children.items()}
        costs = _taken(place, progress, children, said, ("empty loop", "statement"), flushed=True)
        faults = _lost(place, costs)
    return Section(
        "sqlalchemy",
        (_statements_table(costs, said),),
        (_statements_target(costs, said),),
        tuple(faults),
        {"costs": costs, "libraries": {name: one["library"] for name, one in said.items()}},
    )


def _contender(name: str, place: Place, settings: Mapping[str, str], before: Sequence[Path]) -> Child:
    module = name.partition(",")[0]
    given = settings if module == "ours" else None
    started = launch(given, *before)
    return Child("benchmarks.queries.contender", module, place.server.endpoint, launch=started)


def _launched(python: str) -> Any:
    return launch(python=python) if python else launch()


def _compiled_sqlglot() -> str:
    """The interpreter of an environment with the compiled sqlglot; "" when there is none."""
    python = _COMPILED_HOME / "bin" / "python"
    if not python.is_file():
        return ""
    asked = [str(python), "-c", "import sqlglot.tokenizer_core as core; assert core.__file__.endswith('.so')"]
    return str(python) if subprocess.run(asked, check=False, capture_output=True).returncode == 0 else ""


def _taken(
    place: Place,
    progress: Progress,
    children: Mapping[str, Child],
    said: Mapping[str, Any],
    operations: Sequence[str] = (),
    *,
    flushed: bool = False,
) -> Costs:
    """All operations of all contenders, in turns."""
    costs: Costs = {}
    length = {"batches": place.scale.batches, "size": place.scale.size}
    for number, name in in_turns(children, place.scale.rounds):
        progress(f"round {number + 1} of {place.scale.rounds}: {name}")
        for operation in operations or said[name]["operations"]:
            batches = children[name].ask({"of": operation, **length})
            costs.setdefault(f"{name}: {operation}", []).append(percentile(batches, 0.1))
        if flushed and "flush" in said[name]["operations"]:
            children[name].ask({"of": "flush", "batches": 1, "size": 1})
    return costs


def _net(costs: Costs, name: str, operation: str) -> list[float]:
    """By round, without the empty loop."""
    pairs = zip(costs[f"{name}: {operation}"], costs[f"{name}: empty loop"], strict=True)
    return [cost - empty for cost, empty in pairs]


def _ratio(costs: Costs, ours: tuple[str, str], theirs: tuple[str, str]) -> Spread:
    """`ours` as a multiple of `theirs`, round by round."""
    pairs = zip(_net(costs, *ours), _net(costs, *theirs), strict=True)
    return Spread.of([own / other for own, other in pairs])


def _microseconds(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5) / _MICROSECOND:.2f}"


def _texts_table(costs: Costs) -> Table:
    peer = ("sqlglot", "lexer")
    rows: list[tuple[str, ...]] = []
    for key, values in costs.items():
        name, _, operation = key.partition(": ")
        is_empty = operation == "empty loop"
        shown = values if is_empty else _net(costs, name, operation)
        ratio = "-" if is_empty else multiple(_ratio(costs, (name, operation), peer))
        rows.append((name, operation, _microseconds(shown), ratio))
    return Table(
        "A statement's text of 236 characters",
        ("contender", "operation", "µs", "x sqlglot's tokenizer, interpreted"),
        tuple(rows),
        "CPU time of the thread, without the empty loop's; ratios round by round, median (10th … 90th"
        " percentile). A new text is lexed, written without data, summarised and hashed.",
    )


def _texts_targets(costs: Costs) -> list[Target]:
    known = percentile(_net(costs, "tickspan", "known text, its attributes"), 0.5)
    interpreted = _ratio(costs, ("tickspan", "lexer"), ("sqlglot", "lexer"))
    compiled = "sqlglot[c]: lexer" in costs
    return [
        Target(
            "a known text with its attributes",
            "tickspan",
            f"≤ {_KNOWN_TEXT_NS / _MICROSECOND:g} µs",
            f"{known / _MICROSECOND:.2f} µs",
            known <= _KNOWN_TEXT_NS,
        ),
        at_most("lexer beside sqlglot's, both interpreted", "tickspan", interpreted, 1 / _TIMES_FASTER),
        at_most(
            "lexer, interpreted, beside sqlglot's compiled one",
            "tickspan",
            _ratio(costs, ("tickspan", "lexer"), ("sqlglot[c]", "lexer")) if compiled else None,
            1.0,
        ),
    ]


def _added(costs: Costs, name: str) -> list[float]:
    """What `name` adds to the bare statement, by round."""
    pairs = zip(costs[f"{name}: statement"], costs["bare: statement"], strict=True)
    return [cost - bare for cost, bare in pairs]


def _beside_upstream(costs: Costs, name: str) -> Spread | None:
    pairs = zip(_added(costs, name), _added(costs, "upstream"), strict=True)
    ratios = [own / other for own, other in pairs if other > 0]
    return Spread.of(ratios) if ratios else None


def _is_told_by_upstream(said: Mapping[str, Any]) -> bool:
    return "SQLAlchemy 2.0" in said["upstream"]["library"]


def _statements_table(costs: Costs, said: Mapping[str, Any]) -> Table:
    rows = [("empty loop", _microseconds(costs["bare: empty loop"]), "-", "-")]
    rows.append(("bare", _microseconds(costs["bare: statement"]), "-", "-"))
    for name in ("bare, again", "upstream", "ours"):
        ratio = multiple(_beside_upstream(costs, name)) if _is_told_by_upstream(said) else "-"
        statement = _microseconds(costs[f"{name}: statement"])
        rows.append((name, statement, _microseconds(_added(costs, name)), ratio))
    return Table(
        "SQLAlchemy: SELECT of a row by primary key, SQLite in memory",
        ("contender", "µs", "added, µs", "x what upstream adds"),
        tuple(rows),
        "CPU time of the calling thread. Upstream: stock SDK, batch, OTLP/HTTP. Ours: `tickspan.init()` with"
        " its spool, agent and metrics. Upstream tells nothing of SQLAlchemy 2.1: ratios need"
        " `.generations/sqlalchemy-2.0` (`scripts/generations.py install --only sqlalchemy-2.0`).",
    )


def _statements_target(costs: Costs, said: Mapping[str, Any]) -> Target:
    ratio = _beside_upstream(costs, "ours") if _is_told_by_upstream(said) else None
    return at_most("what a SQLAlchemy statement costs more", "tickspan", ratio, _SHARE_OF_UPSTREAM)


def _lost(place: Place, costs: Costs) -> list[str]:
    """Spans of ours that did not arrive. Upstream's batch drops some by design: none of its are missed."""
    batches = len(costs["ours: statement"]) * (place.scale.batches + 3)
    wanted = batches * place.scale.size
    place.server.wait_for(lambda server: bool(server.spans()), 15.0)
    spans = place.server.spans()
    found = sum(span.name == "SELECT orders" for span in spans)
    return [] if found >= wanted else [f"sqlalchemy: {found:,} of {wanted:,} spans of ours arrived"]
