"""Exploration: which of a statement's candidates its plans would use, together and alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tickspan.analysis.indexes.library import Library, Task
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.indexes.whatif import NoPlan

__all__ = ["explore"]


def explore(
    tasks: Sequence[Task], library: Library, asks_each: int, progress: Callable[[str], None]
) -> tuple[list[Task], dict[str, str]]:
    """Fill the library, the heaviest statements first.

    Returns:
        The statements that can be planned, and for each of the others, by fingerprint, why it cannot.
    """
    planned: list[Task] = []
    refused: dict[str, str] = {}
    for number, task in enumerate(tasks, 1):
        progress(f"statement {number} of {len(tasks)}: {len(task.candidates)} candidates")
        try:
            library.ask(task, 0)
        except NoPlan as error:
            refused[task.query.fingerprint] = str(error)
            continue
        planned.append(task)
        _learn(task, library, asks_each - 1)
    return planned, refused


def _learn(task: Task, library: Library, asks: int) -> None:
    enough = library.explains + asks
    for offered in _offers(task, library):
        if library.explains >= enough or not library.left:
            return
        library.ask(task, offered)


def _offers(task: Task, library: Library) -> Iterator[int]:
    """What to offer, the most telling first; each is told what the ones before it brought.

    Everything; only plain indexes; only single columns; only block ranges, which lose beside the others and
    cost next to nothing; what the text alone would make one choose. Then, three rounds in all, the same
    without what won, and each winner by itself.
    """
    kinds = [
        library.bits(specs)
        for specs in (
            task.candidates,
            [spec for spec in task.candidates if _is_plain(spec)],
            [spec for spec in task.candidates if _is_plain(spec) and spec.width == 1],
            [spec for spec in task.candidates if spec.method == "brin"],
        )
    ]
    won = [0] * len(kinds)
    for _round in range(3):
        for kind, offered in enumerate(kinds):
            left = offered & ~won[kind]
            if left:
                yield left
                won[kind] |= library.ask(task, left)[1]
        for spec in task.guesses:
            yield library.bits([spec])
        for used in library.used_sets(task):
            for spec in library.specs(used):
                yield library.bits([spec])


def _is_plain(spec: IndexSpec) -> bool:
    return not (spec.includes or spec.predicate)
