"""Operations: spans of one name of one service, how many, how fast, how they went over time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan_desk.store.reading import Operation, Window
from tickspan_desk.views.records import address, trace_path
from tickspan_desk.views.text import shown

__all__ = ["SORTS", "Example", "OperationRow", "Operations", "operations_of"]

MAX_ROWS: Final = 500
_MINUTE_NS: Final = 60_000_000_000
_NS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Example:
    """A slow one."""

    duration_ns: int
    path: str


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation.

    Attributes:
        rate: calls a second since the first call of any operation in the window.
        error_share: 0 to 1.
        total_ns: time spent, estimated from the quantiles.
        calls_by_minute, errors_by_minute, p99_by_minute_ns: for each whole minute of the window.
        examples: slowest first.
        path: of an exemplar trace, the slowest; "" where there is none.
        traces_path: of the list of its traces.
    """

    service: str
    name: str
    kind: str
    calls: int
    rate: float
    errors: int
    error_share: float
    p50_ns: int
    p99_ns: int
    p999_ns: int
    calls_by_minute: tuple[int, ...]
    errors_by_minute: tuple[int, ...]
    p99_by_minute_ns: tuple[int, ...]
    examples: tuple[Example, ...]
    path: str
    traces_path: str


@dataclass(frozen=True, slots=True)
class Operations:
    """The table. `left_out` operations are not shown for there being too many."""

    rows: tuple[OperationRow, ...]
    calls: int
    errors: int
    services: tuple[str, ...]
    service: str
    sort: str
    left_out: int


SORTS: Final[Mapping[str, Callable[[OperationRow], tuple[object, ...]]]] = {
    "time": lambda row: (-row.p50_ns * row.calls, row.name, row.service),
    "name": lambda row: (row.name, row.service),
    "service": lambda row: (row.service, row.name),
    "calls": lambda row: (-row.calls, row.name, row.service),
    "rate": lambda row: (-row.rate, row.name, row.service),
    "errors": lambda row: (-row.errors, -row.error_share, row.name, row.service),
    "p50": lambda row: (-row.p50_ns, row.name, row.service),
    "p99": lambda row: (-row.p99_ns, row.name, row.service),
    "p999": lambda row: (-row.p999_ns, row.name, row.service),
}
"""What the table can be sorted by; numbers put the greatest first."""


def operations_of(
    found: Sequence[Operation],
    window: Window,
    services: Sequence[str] = (),
    service: str = "",
    sort: str = "time",
    travelling: Mapping[str, str] | None = None,
) -> Operations:
    """The page of operations.

    Args:
        found: of the window.
        window: in which they were looked for.
        services: all that there are.
        service: the one that was asked for.
        sort: a key of `SORTS`; another counts as "time".
        travelling: parameters that go along to other pages: the range of time.
    """
    seconds = _seconds(found, window)
    rows = [_row(operation, seconds, travelling or {}) for operation in found]
    by = sort if sort in SORTS else "time"
    rows.sort(key=SORTS[by])
    return Operations(
        tuple(rows[:MAX_ROWS]),
        calls=sum(row.calls for row in rows),
        errors=sum(row.errors for row in rows),
        services=tuple(services),
        service=service,
        sort=by,
        left_out=max(len(rows) - MAX_ROWS, 0),
    )


def _seconds(found: Sequence[Operation], window: Window) -> float:
    """From the first minute in which there was a call to the window's end; minutes end with the window."""
    lively = max(
        (
            len(operation.minutes)
            - next((at for at, (calls, _, _) in enumerate(operation.minutes) if calls), 0)
            for operation in found
        ),
        default=0,
    )
    last_ns = -(-window.until_ns // _MINUTE_NS) * _MINUTE_NS
    since_ns = max(window.since_ns, last_ns - lively * _MINUTE_NS)
    return max((window.until_ns - since_ns) / _NS, 1.0)


def _row(operation: Operation, seconds: float, travelling: Mapping[str, str]) -> OperationRow:
    examples = tuple(
        Example(duration_ns, trace_path(trace_id)) for duration_ns, trace_id in operation.exemplars
    )
    return OperationRow(
        shown(operation.service),
        shown(operation.name),
        shown(operation.kind),
        operation.calls,
        operation.calls / seconds,
        operation.errors,
        operation.errors / operation.calls if operation.calls else 0.0,
        operation.quantiles_ns.get(0.5, 0),
        operation.quantiles_ns.get(0.99, 0),
        operation.quantiles_ns.get(0.999, 0),
        tuple(calls for calls, _, _ in operation.minutes),
        tuple(errors for _, errors, _ in operation.minutes),
        tuple(p99_ns for _, _, p99_ns in operation.minutes),
        examples,
        examples[0].path if examples else "",
        address("/traces", {"name": operation.name, "service": operation.service, **travelling}),
    )
