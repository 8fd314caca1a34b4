"""A race: contenders take turns in interleaved rounds, each in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Generic, TypeVar

from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import ChildError

from .contenders import EMPTY, OURS, PURE, STOCK, Contender
from .figures import ratios, spread_of
from .place import Place, Turn, UnavailableError
from .sections import multiple

T = TypeVar("T")
Progress = Callable[[str], None]


@dataclass(slots=True)
class Race(Generic[T]):
    """What the rounds of a race have found out."""

    values: dict[str, dict[int, T]] = field(default_factory=dict[str, dict[int, T]])
    """By contender and number of the round."""
    missing: dict[str, str] = field(default_factory=dict[str, str])
    """Why a contender did not take part."""
    libraries: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def rounds(self) -> int:
        """That somebody took part in."""
        return max((len(values) for values in self.values.values()), default=0)

    def of(self, contender: str, figure: Callable[[T], float]) -> list[float]:
        """One figure of a contender in all rounds."""
        return [figure(value) for value in self.values.get(contender, {}).values()]

    def over_stock(
        self, contender: str, figure: Callable[[T], float], *, less_empty: bool = True
    ) -> Spread | None:
        """One figure as a multiple of the stock SDK's in the same round, both less the empty loop's."""
        own, stock, empty = (
            {number: figure(value) for number, value in self.values.get(name, {}).items()}
            for name in (contender, STOCK, EMPTY)
        )
        return spread_of(ratios(own, stock, empty if less_empty else None))

    def added(self, contender: str, figure: Callable[[T], float]) -> list[float]:
        """One figure of a contender in all rounds, less the empty loop's in the same round."""
        empty = self.values.get(EMPTY, {})
        return [
            figure(value) - (figure(empty[number]) if number in empty else 0)
            for number, value in self.values.get(contender, {}).items()
        ]

    def bars(self, figure: Callable[[T], float], *, less_empty: bool = True) -> dict[str, float]:
        """The median multiple of each contender, for a plot."""
        names = [name for name in self.values if name != EMPTY or not less_empty]
        spreads = {name: self.over_stock(name, figure, less_empty=less_empty) for name in names}
        return {name: spread.median for name, spread in spreads.items() if spread is not None}

    def data(self) -> dict[str, Any]:
        """All rounds as plain values; their figures are dataclasses."""
        values: Any = self.values
        rounds = {name: {n: asdict(value) for n, value in found.items()} for name, found in values.items()}
        return {"rounds": rounds, "missing": self.missing, "libraries": self.libraries}

    def first_fault(self, contender: str, fault: Callable[[T], str | None]) -> str | None:
        """What went wrong with a contender's records, if anything did."""
        return next((said for said in map(fault, self.values[contender].values()) if said is not None), None)

    def cells(self, contender: str, figure: Callable[[T], float], unit_ns: float) -> tuple[str, str]:
        """The median of what a contender adds, in a unit of nanoseconds, and its multiple of stock's."""
        if contender == EMPTY:
            return _middle(self.of(contender, figure), unit_ns), ""
        ratio = "1" if contender == STOCK else multiple(self.over_stock(contender, figure))
        return _middle(self.added(contender, figure), unit_ns), ratio

    def faults(self, section: str, fault: Callable[[T], str | None]) -> tuple[str, ...]:
        """What went wrong with ours: a turn that failed, records that did not arrive as they were."""
        failed = [f"{section}, {name}: {self.missing[name]}" for name in (OURS, PURE) if name in self.missing]
        wrong = [
            f"{section}, {name}: {said}"
            for name in (OURS, PURE)
            for said in map(fault, self.values.get(name, {}).values())
            if said is not None
        ]
        return (*failed, *wrong)


def run(
    place: Place,
    contenders: Sequence[Contender],
    signal: str,
    rounds: int,
    measure: Callable[[Turn], T],
    progress: Progress,
) -> Race[T]:
    """Let all take their turn in each round, nobody always first; who fails once is told and left out."""
    race: Race[T] = Race()
    for number in range(rounds):
        start = number % len(contenders)
        for contender in (*contenders[start:], *contenders[:start]):
            if contender.name in race.missing:
                continue
            progress(f"round {number + 1} of {rounds}: {contender.name}")
            _take_turn(place, contender, signal, number, measure, race)
    return race


def _middle(values_ns: Sequence[float], unit_ns: float) -> str:
    return f"{median(values_ns) / unit_ns:,.2f}" if values_ns else "-"


def _take_turn(
    place: Place,
    contender: Contender,
    signal: str,
    number: int,
    measure: Callable[[Turn], T],
    race: Race[T],
) -> None:
    try:
        with place.turn(contender, signal) as turn:
            race.libraries[contender.name] = turn.library
            race.values.setdefault(contender.name, {})[number] = measure(turn)
    except UnavailableError as reason:
        race.missing[contender.name] = str(reason)
    except ChildError as error:
        race.missing[contender.name] = f"failed in round {number + 1}: {error}"
