"""Stampedes: a hundred callers ask at once for what nobody has; how often each library loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.crowd import LOOPS, MANY_LOOPS, MIXED, PEOPLE, TASKS, THREADS
from benchmarks.data.place import Place
from benchmarks.pipeline.ground import in_turns
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target

_CONTENDERS: Final = ("cachebox", "cachetools", "dogpile.cache", "diskcache", "aiocache", "cashews", OURS)
_KINDS: Final = (THREADS, TASKS, MANY_LOOPS, MIXED)

Crowds = Mapping[tuple[str, str, bool], Sequence[Mapping[str, Any]]]
"""By contender, kind, and whether the load fails."""


def stampedes(place: Place, progress: Progress) -> Section:
    """Crowds of each kind that a library can serve, with loads that succeed and loads that fail."""
    names, missing = place.present(_CONTENDERS)
    crowds: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = {}
    with ExitStack() as stack:
        children = {name: stack.enter_context(place.child("crowd", name)) for name in names}
        said = {name: child.hello() for name, child in children.items()}
        for number, name in in_turns(names, place.scale.crowds):
            progress(f"crowd {number + 1} of {place.scale.crowds}: {name}")
            for kind in said[name]["crowds"]:
                for fails in (False, True):
                    came = children[name].ask({"of": kind, "fails": fails})
                    crowds.setdefault((name, kind, fails), []).append(came)
    return Section(
        "stampede",
        (_table(crowds, names, missing),),
        (target(crowds),),
        tuple(faults(crowds)),
        {
            "versions": {name: said[name]["library"] for name in names},
            "crowds": {" / ".join(map(str, key)): came for key, came in crowds.items()},
        },
    )


def calls_told(came: Sequence[Mapping[str, Any]]) -> str:
    """How many calls of the loader a crowd has caused, and how many callers were not served."""
    calls = [crowd["calls"] for crowd in came]
    unserved = sum(PEOPLE - crowd["right"] for crowd in came) / len(came)
    told = f"{median(calls):g}" if min(calls) == max(calls) else f"{min(calls)} … {max(calls)}"
    if not unserved:
        return told
    words = sorted({word for crowd in came for word in crowd["wrong"]}) or ["no answer"]
    return f"{told}; {unserved:g} callers: {', '.join(words)}"


def faults(crowds: Crowds) -> list[str]:
    """Ours must answer every caller rightly."""
    return [
        f"stampede: {name}, {kind}{', load fails' if fails else ''}: {calls_told(came)}"
        for (name, kind, fails), came in crowds.items()
        if name == OURS and any(crowd["right"] != PEOPLE for crowd in came)
    ]


def _table(crowds: Crowds, names: Sequence[str], missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in names:
        for fails in (False, True):
            cells = [
                calls_told(came) if (came := crowds.get((name, kind, fails))) else "cannot" for kind in _KINDS
            ]
            rows.append((name, "fails" if fails else "succeeds", *cells))
    note = (
        f"{PEOPLE} callers begin together; the loader takes 10 ms. Of two loops each has half of the"
        f" tasks; with threads and loops, half are threads and the rest tasks of {LOOPS} loops. Who"
        " cannot has no form for such callers. A caller is served when the loader's value, or its own"
        " exception, reaches it."
    )
    return Table(
        "Calls of the loader for one stampede",
        ("contender", "load", *_KINDS),
        tuple(rows),
        " ".join((note, *missing)),
    )


def target(crowds: Crowds) -> Target:
    calls = [crowd["calls"] for (name, _, _), came in crowds.items() if name == OURS for crowd in came]
    return Target(
        "calls of the loader for a stampede, failing or not, threads and loops mixed",
        OURS,
        "1",
        f"at most {max(calls)}, {len(calls)} stampedes" if calls else "not measured",
        max(calls) == 1 if calls else None,
    )
