"""The heap as a profile: where memory was allocated that is still in use."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tickspan.analysis.profiles import SPACE, Frame, Profile, Sample

if TYPE_CHECKING:
    import ast

__all__ = ["Allocated", "Names", "heap_profile"]

_THREAD: Final = "heap"
_STATE: Final = "inuse"
_LARGEST_BYTES: Final = 1 << 20
_MOST_FILES: Final = 500


class Allocated(NamedTuple):
    """What one stack has allocated, and is still there.

    Attributes:
        frames: innermost first.
        size_bytes: of all blocks.
        number: of blocks.
    """

    frames: tuple[Frame, ...]
    size_bytes: int
    number: int


def heap_profile(allocated: Iterable[Allocated], started_unix_ns: int, duration_ns: int) -> Profile:
    """Blocks and bytes by stack; of this process, and of no service yet."""
    frames: dict[Frame, int] = {}
    stacks: dict[tuple[int, ...], int] = {}
    totals: dict[int, list[int]] = {}
    for one in allocated:
        indices = tuple(frames.setdefault(frame, len(frames)) for frame in one.frames)
        total = totals.setdefault(stacks.setdefault(indices, len(stacks)), [0, 0])
        total[0] += one.number
        total[1] += one.size_bytes
    return Profile(
        service="",
        version="",
        pid=os.getpid(),
        started_unix_ns=started_unix_ns,
        duration_ns=duration_ns,
        period_ns=1,
        frames=tuple(frames),
        stacks=tuple(stacks),
        samples=tuple(
            Sample(stack, _THREAD, _STATE, None, number, size_bytes)
            for stack, (number, size_bytes) in totals.items()
        ),
        kind=SPACE,
    )


class Names:
    """Functions by file and line, out of the sources: who traces allocations notes no names.

    Reads at most 500 files of 1 MiB. A line of any other has the name of its file.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Sequence[int], Sequence[tuple[str, int]]]] = {}

    def frame(self, file: str, line: int) -> Frame:
        """The innermost function around a line."""
        lines, functions = self._of(file)
        place = bisect_right(lines, line)
        if place:
            name, first_line = functions[place - 1]
            return Frame(name, file, line, first_line)
        return Frame(os.path.basename(file), file, line)  # noqa: PTH119 - it may be no path, `<string>`

    def _of(self, file: str) -> tuple[Sequence[int], Sequence[tuple[str, int]]]:
        known = self._known.get(file)
        if known is None:
            known = _functions(file) if len(self._known) < _MOST_FILES else ((), ())
            self._known[file] = known
        return known


def _functions(file: str) -> tuple[Sequence[int], Sequence[tuple[str, int]]]:
    """Lines from which on another function is innermost, and which: its name and first line."""
    import ast  # four milliseconds, for what few programs ask for

    try:
        path = Path(file)
        if path.stat().st_size > _LARGEST_BYTES:
            return (), ()
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return (), ()
    starts: dict[int, tuple[str, int]] = {1: ("<module>", 1)}
    waiting: list[tuple[ast.AST, str, tuple[str, int]]] = [(tree, "", starts[1])]
    inner: list[tuple[int, int, tuple[str, int]]] = []
    while waiting:
        node, prefix, _ = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                own = (prefix + child.name, child.lineno)
                inner.append((child.lineno, child.end_lineno or child.lineno, own))
                waiting.append((child, f"{own[0]}.<locals>.", own))
            elif isinstance(child, ast.ClassDef):
                waiting.append((child, f"{prefix}{child.name}.", ("", 0)))
            else:
                waiting.append((child, prefix, ("", 0)))
    return _flat(starts, inner)


def _flat(
    starts: dict[int, tuple[str, int]], inner: list[tuple[int, int, tuple[str, int]]]
) -> tuple[Sequence[int], Sequence[tuple[str, int]]]:
    """Nested ranges of lines as the points where the innermost one changes."""
    inner.sort(key=lambda one: (one[0], -one[1]))
    open_ranges: list[tuple[int, tuple[str, int]]] = []

    def close(before: int) -> None:
        while open_ranges and open_ranges[-1][0] < before:
            end, _ = open_ranges.pop()
            starts[end + 1] = open_ranges[-1][1] if open_ranges else ("<module>", 1)

    for start, end, own in inner:
        close(start)
        starts[start] = own
        open_ranges.append((end, own))
    close(1 << 62)
    lines = sorted(starts)
    return lines, [starts[line] for line in lines]
