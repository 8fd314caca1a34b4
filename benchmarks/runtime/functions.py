"""What it costs to measure a function each time it runs: decorated, watched, and beside the peers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.runtime import twins
from benchmarks.runtime.callee import (
    ASYNC,
    CPROFILE,
    ELSEWHERE,
    GENERATOR,
    ITEMS,
    KINDS,
    OURS,
    PLAIN,
    PYTHON,
    SETPROFILE,
    SYNC,
    WATCH,
    WAYS,
)
from benchmarks.runtime.place import Place
from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import Child

__all__ = ["profiled"]

COMPILED, PURE = "compiled", "interpreted"
_FORMS: Final[Mapping[str, Mapping[str, str]]] = {COMPILED: {}, PURE: {"TICKSPAN_PURE": "1"}}
_IN_PURE: Final = (PLAIN, PYTHON, OURS)
_EMPTY: Final = "empty loop"
_BATCHES: Final = 5
_OF_A_PYTHON_DECORATOR: Final = 0.5
_AS_ELSEWHERE: Final = 1.05


@dataclass(slots=True)
class Costs:
    """Nanoseconds of a call by round, its loop included, by form, kind of function and way to measure it."""

    of: dict[tuple[str, str, str], dict[int, float]] = field(
        default_factory=dict[tuple[str, str, str], dict[int, float]]
    )
    faults: list[str] = field(default_factory=list[str])

    def note(self, key: tuple[str, str, str], number: int, found: Mapping[str, Any]) -> None:
        """One turn."""
        self.of.setdefault(key, {})[number] = percentile(found["ns"], 0.1)
        form, kind, way = key
        expected = 0 if way == ELSEWHERE else found["made"]
        if found["counted"] not in {None, expected}:
            self.faults.append(
                f"functions: {way} of a {kind}, {form}: {found['counted']} of {expected} calls counted"
            )

    def added(self, form: str, kind: str, way: str) -> list[float]:
        """What a way adds to the call, round by round."""
        plain = self.of[form, kind, PLAIN]
        return [cost - plain[number] for number, cost in self.of[form, kind, way].items()]

    def beside(self, form: str, kind: str, way: str, peer: str = PYTHON) -> Spread | None:
        """What a way adds as a multiple of what a peer adds."""
        own, other, plain = (self.of[form, kind, name] for name in (way, peer, PLAIN))
        return spread_of(ratios(own, other, plain))


def profiled(place: Place, progress: Progress) -> Section:
    """All ways to measure all kinds of functions, in turns."""
    costs, empty = Costs(), dict[int, float]()
    with ExitStack() as stack:
        path = twins.built(sys.executable, place.folder / "functions", "profiler.tally")
        children = {
            form: stack.enter_context(Child("benchmarks.runtime.callee", launch=launch(settings, *path)))
            for form, settings in _FORMS.items()
        }
        forms = {form: child.hello()["form"] for form, child in children.items()}
        for number, way in in_turns(WAYS, place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}: {way}")
            for form, child in children.items():
                for kind in KINDS if form == COMPILED or way in _IN_PURE else ():
                    ask = {"kind": kind, "way": way, "batches": _BATCHES, "calls": place.scale.calls}
                    costs.note((form, kind, way), number, child.ask(ask))
            ask = {"kind": None, "way": None, "batches": _BATCHES, "calls": place.scale.calls}
            empty[number] = percentile(children[COMPILED].ask(ask)["ns"], 0.1)
    is_compiled = forms[COMPILED] == COMPILED
    missing = () if is_compiled else ("No compiled twin of `profiler.tally` is built: all is interpreted.",)
    return Section(
        "functions",
        (_table(costs, empty, missing),),
        tuple(_targets(costs, is_compiled=is_compiled)),
        tuple(costs.faults),
        {"costs": {": ".join(key): rounds for key, rounds in costs.of.items()}, "forms": forms},
    )


def _table(costs: Costs, empty: Mapping[int, float], missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = [(_EMPTY, "", "", f"{median(empty.values()):,.0f}", "-")]
    for kind in KINDS:
        for way in WAYS:
            for form in _FORMS if way == OURS else (COMPILED,):
                told = form if way == OURS else ""
                added = median(
                    costs.of[form, kind, way].values() if way == PLAIN else costs.added(form, kind, way)
                )
                beside = "-" if way == PLAIN else multiple(costs.beside(form, kind, way))
                rows.append((way, told, kind, f"{added:,.0f}", beside))
    note = (
        f"ns: CPU time that a call takes more than the bare one, which is the row `{PLAIN}`. x: of a plain"
        " Python decorator that reads `perf_counter_ns` twice and adds up."
        f" A {GENERATOR} gives {ITEMS} items a call; a decorated one, and a {ASYNC}, stays one of Python, and"
        " ours tells the time in which it was suspended apart."
        f" `{ELSEWHERE}`: another function is watched. `{CPROFILE}` and `{SETPROFILE}` see every call of the"
        " thread."
    )
    return Table(
        "A measured function",
        ("way", "form", "kind", "ns", "x"),
        tuple(rows),
        " ".join((note, *missing)),
    )


def _targets(costs: Costs, *, is_compiled: bool) -> Iterator[Target]:
    yield at_most(
        "`@profile_function`, compiled, beside a Python decorator",
        "tickspan",
        costs.beside(COMPILED, SYNC, OURS) if is_compiled else None,
        _OF_A_PYTHON_DECORATOR,
    )
    elsewhere, plain = (costs.of[COMPILED, SYNC, way] for way in (ELSEWHERE, PLAIN))
    yield at_most(
        "a call while another function is watched, beside one while none is",
        "tickspan",
        spread_of(ratios(elsewhere, plain)),
        _AS_ELSEWHERE,
    )
    yield at_most(
        f"`{WATCH}`, beside {CPROFILE}", "tickspan", costs.beside(COMPILED, SYNC, WATCH, CPROFILE), 1.0, None
    )
