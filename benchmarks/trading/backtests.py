"""Back-tests: what being told costs a NautilusTrader run, which must draw, order and fill the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, multiple
from benchmarks.sidebyside.costs import Spread
from benchmarks.trading.place import Place

_EVERY: Final = 20
_BARE: Final = "bare"
_DEFAULT: Final = "one span and counters (default)"
_LIMIT: Final = 1.05
"""A few per cent."""
Turns = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds by contender and clock."""


def backtests(place: Place, progress: Progress) -> Section:
    """All contenders, in turns, in one child."""
    scale = place.scale
    progress(f"{scale.backtest_rounds} rounds of {scale.quotes:,} quotes")
    said = place.nursery.turn(
        "backtest:turns", quotes=scale.quotes, every=_EVERY, rounds=scale.backtest_rounds
    )
    turns: Turns = said["turns"]
    title = (
        f"A back-test of {scale.quotes:,} quotes, {said['orders']:,} orders, {said['fills']:,} fills "
        f"({said['library']}, {scale.backtest_rounds} rounds)"
    )
    rows = tuple(
        (
            name,
            f"{median(clocks['CPU']) * 1000:.0f}",
            *(multiple(over_bare(turns, name, clock)) for clock in ("CPU", "wall")),
        )
        for name, clocks in turns.items()
    )
    note = (
        "Divided by the bare run of the same round. Draws, orders and fills of every turn have the digest "
        f"{said['digest'][:16]}, or the turn is named below; what was told is held against the engine's "
        "books."
    )
    found = over_bare(turns, _DEFAULT, "CPU")
    return Section(
        "backtest",
        (Table(title, ("contender", "CPU ms", "x CPU", "x wall"), rows, note),),
        (
            Target(
                "a back-test told, CPU of the bare one",
                "tickspan",
                f"≤ {_LIMIT:g}x",
                multiple(found),
                None if found is None else found.median <= _LIMIT,
            ),
        ),
        tuple(f"backtest, {fault}" for fault in said["faults"]),
        {"turns": turns, "digest": said["digest"]},
    )


def over_bare(turns: Turns, name: str, clock: str) -> Spread | None:
    """What a contender took, as a multiple of the bare run of its round."""
    pairs = zip(turns[name][clock], turns[_BARE][clock], strict=True)
    shares = [own / bare for own, bare in pairs if bare > 0]
    return Spread.of(shares) if shares else None
