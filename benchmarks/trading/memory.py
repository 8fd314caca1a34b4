"""Memory: what a full registry holds, by Python's own count of allocated bytes and by the kernel's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.trading.place import PURE, Place

_FORMS: Final[Mapping[str, Mapping[str, str]]] = {"tickspan": {}, "tickspan-pure": PURE}
_STATES: Final = {
    "open": "all are open",
    "mixed": "an eighth is open, of the others the lives are written",
    "ended": "all were filled at once, no life is written yet",
}
_LIMIT_MIB: Final = 16
_FULL: Final = 20_000
Held = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""By form, state and measure."""


def full_registry(place: Place, progress: Progress) -> Section:
    """Every state in every form, by each measure in a process of its own."""
    held: dict[tuple[str, str, str], Any] = {}
    for form, settings in _FORMS.items():
        for state in _STATES:
            for by in ("tracemalloc", "rss"):
                progress(f"{form}: {state}, {by}")
                held[form, state, by] = place.nursery.turn(
                    "holding:held", settings, state=state, orders=place.scale.held, by=by
                )
    return Section(
        "memory",
        (_table(held, place.scale.held),),
        tuple(_target(held, form, state, place.scale.held) for form in _FORMS for state in _STATES),
        tuple(_faults(held, place.scale.held)),
        {"held": [dict(zip(("form", "state", "by"), key, strict=True)) | said for key, said in held.items()]},
    )


def _table(held: Held, orders: int) -> Table:
    rows = tuple(
        (
            form,
            words,
            f"{held[form, state, 'tracemalloc']['mib']:.1f}",
            f"{held[form, state, 'tracemalloc']['mib'] * 2**20 / orders:,.0f}",
            f"{held[form, state, 'rss']['mib']:.1f}",
        )
        for form in _FORMS
        for state, words in _STATES.items()
    )
    columns = ("contender", "orders", "MiB allocated", "bytes an order", "MiB resident more")
    note = (
        "Allocated: what tracemalloc counts, less what was there before. Resident: by how much the process's "
        "memory that belongs to no file grew, in another process without tracemalloc; the allocator's gaps "
        "and what it has not given back are in it. Spans go nowhere: what waits to be sent is not counted."
    )
    return Table(f"A full registry of {orders:,} orders", columns, rows, note)


def _target(held: Held, form: str, state: str, orders: int) -> Target:
    allocated, resident = (held[form, state, by]["mib"] for by in ("tracemalloc", "rss"))
    is_full = orders >= _FULL
    return Target(
        f"a full registry of {orders:,}: {_STATES[state]}",
        form,
        f"< {_LIMIT_MIB} MiB" + ("" if is_full else f" for {_FULL:,}"),
        f"{allocated:.1f} MiB allocated, {resident:.1f} MiB resident",
        allocated < _LIMIT_MIB if is_full else None,
    )


def still_open(state: str, orders: int) -> int:
    """How many of the orders 1 to `orders` are open in the end."""
    return {"open": orders, "mixed": orders // 8, "ended": 0}[state]


def _faults(held: Held, orders: int) -> list[str]:
    return [
        f"memory, {form}, {state}: {said['open']:,} orders are open instead of {still_open(state, orders):,}"
        for (form, state, _), said in held.items()
        if said["open"] != still_open(state, orders)
    ]
