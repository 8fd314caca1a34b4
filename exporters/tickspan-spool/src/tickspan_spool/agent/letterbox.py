"""The dead letters of a spool: where they are, and how they become records again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tickspan_spool.entries import Entry, Signal
from tickspan_spool.home import FORMAT_FOLDER
from tickspan_spool.sender import Letter, LetterHead, list_letters, show_letter

from .taken_apart import entries_of


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of dead letters that were to be sent again.

    Attributes:
        redriven: letters that are records of the spool again.
        kept: letters that are not, by name, and why.
    """

    redriven: int
    kept: Mapping[str, str] = field(default_factory=dict[str, str])


def letters_folder(directory: Path) -> Path:
    """Where the dead letters of a spool are."""
    return directory / FORMAT_FOLDER / "dead"


def letters(directory: Path) -> list[LetterHead]:
    """The dead letters that can be read, oldest first."""
    return list_letters(letters_folder(directory))


def letter(directory: Path, name: str) -> Letter | None:
    """One dead letter by its name without suffix; None when there is none that can be read."""
    with suppress(OSError, ValueError):
        return show_letter(letters_folder(directory) / f"{name}.letter")
    return None


def redrive_letters(
    directory: Path, name: str | None, put: Callable[[Signal, str, Sequence[Entry]], str]
) -> Redriven:
    """Record the letter of this name, or all, once more, and remove what could be.

    `put` records for the destination of that signal and place; it says why when it cannot.
    """
    wanted = [head for head in letters(directory) if name in {None, head.path.stem}]
    kept: dict[str, str] = {}
    for head in wanted:
        trouble = _redrive(head, put)
        if trouble:
            kept[head.path.stem] = trouble
    return Redriven(len(wanted) - len(kept), kept)


def _redrive(head: LetterHead, put: Callable[[Signal, str, Sequence[Entry]], str]) -> str:
    try:
        found = show_letter(head.path)
        trouble = put(head.signal, head.place, entries_of(head.signal, found.request))
        if not trouble:
            head.path.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        return str(error)
    return trouble
