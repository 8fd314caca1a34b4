"""Hit ratios: the same traces through our policies, those of the peers, and their authors' own in C."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from benchmarks.data.contenders import OURS
from benchmarks.data.place import Place, Scale
from benchmarks.data.traces import TRACES
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import Child

_AUTHORS: Final = "libcachesim"
_CONTENDERS: Final = ("cachetools", "cachebox", _AUTHORS, OURS)
_SEED: Final = 1
_S3FIFO, _ADAPTIVE = "s3fifo", "adaptive"
_CANDIDATES: Final = ("lru", _S3FIFO, "w-tinylfu")
"""Those that `adaptive` may choose from."""
_POINT: Final = 0.01
_NEAR: Final = 2 * _POINT

Found = Mapping[tuple[str, str], Mapping[str, float]]
"""Share of hits by contender and policy, then by trace."""


def replayed(place: Place, progress: Progress) -> Section:
    """Two contenders side by side: nothing here depends on the clock."""
    names, missing = place.present(_CONTENDERS)
    with ExitStack() as stack:
        children = {name: stack.enter_context(place.child("replayer", name)) for name in names}
        said = {name: child.hello() for name, child in children.items()}
        with ThreadPoolExecutor(2) as pool:
            futures = {
                name: pool.submit(_asked, name, child, place.scale, progress)
                for name, child in children.items()
            }
            shares = {name: future.result() for name, future in futures.items()}
    found: dict[tuple[str, str], dict[str, float]] = {
        (name, policy): {trace: shares[name][trace][policy] for trace in TRACES}
        for name in names
        for policy in said[name]["policies"]
    }
    return Section(
        "ratios",
        (_table(found, place.scale, missing),),
        tuple(targets(found)),
        (),
        {"found": {f"{name}: {policy}": each for (name, policy), each in found.items()}},
    )


def _asked(name: str, child: Child, scale: Scale, progress: Progress) -> dict[str, dict[str, float]]:
    """Shares of hits by trace and policy."""
    shares: dict[str, dict[str, float]] = {}
    for trace in TRACES:
        progress(f"{name}: {trace}")
        asked = {"requests": scale.requests, "capacity": scale.capacity, "seed": _SEED}
        shares[trace] = child.ask({"trace": trace, **asked})
    return shares


def _table(found: Found, scale: Scale, missing: tuple[str, ...]) -> Table:
    rows = [
        (name, policy, *(f"{100 * share:.1f}" for share in each.values()))
        for (name, policy), each in found.items()
    ]
    note = (
        f"The second half of {scale.requests:,} requests, a cache of {scale.capacity:,} entries. zipf: ten"
        " times as many keys, skew 0.9; scan: with keys between that come once; shift: nine in ten keys lose"
        " their rank eight times; loop: a quarter more keys than there is room for, in turn. libcachesim is"
        " no cache but the policies in C, S3-FIFO by its authors."
    )
    return Table(
        "Hits of a hundred requests",
        ("contender", "policy", *TRACES),
        tuple(rows),
        " ".join((note, *missing)),
    )


def targets(found: Found) -> list[Target]:
    ours = {policy: each for (name, policy), each in found.items() if name == OURS}
    authors = {policy: each for (name, policy), each in found.items() if name == _AUTHORS}
    if not ours or not authors:
        return []
    best = {trace: max(authors[policy][trace] for policy in _CANDIDATES) for trace in ours[_ADAPTIVE]}
    return [
        _not_below("`s3fifo` beside its authors' own", ours[_S3FIFO], authors[_S3FIFO], _POINT),
        _not_below("`adaptive` beside the best of its candidates", ours[_ADAPTIVE], best, _NEAR),
    ]


def _not_below(what: str, own: Mapping[str, float], other: Mapping[str, float], allowed: float) -> Target:
    behind = {trace: other[trace] - own[trace] for trace in own}
    worst = max(behind, key=behind.__getitem__)
    return Target(
        what,
        OURS,
        f"at most {100 * allowed:g} points below on any trace",
        f"{-100 * behind[worst]:+.1f} points on {worst}",
        behind[worst] <= allowed,
    )
