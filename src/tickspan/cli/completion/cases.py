"""What the scripts of bash and zsh have in common: branches of a `case` over places and options. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tickspan.cli.outline import Argument, Place, Takes

__all__ = ["after_options", "at", "deeper", "here", "options_with_values"]

Answer = Callable[[Argument], str]
"""The shell's command that offers values for an argument."""


def at(place: Place) -> str:
    """A place as the scripts write it: `/queries/top`."""
    return "".join(f"/{word}" for word in place.path)


def deeper(places: Sequence[Place]) -> str:
    """A pattern of all places that a word leads to."""
    return "|".join(at(place) for place in places if place.path)


def options_with_values(places: Sequence[Place]) -> str:
    """A pattern of all `place option` after which a value comes."""
    return "|".join(
        f"'{at(place)} {name}'"
        for place in places
        for argument in place.arguments
        for name in argument.names
        if argument.takes is not Takes.NOTHING
    )


def after_options(places: Sequence[Place], answer: Answer) -> Iterator[str]:
    """Branches over `place option`: what its value may be."""
    for place in places:
        for argument in place.arguments:
            if argument.names and argument.takes is not Takes.NOTHING:
                pattern = "|".join(f"'{at(place)} {name}'" for name in argument.names)
                yield f"        {pattern}) {answer(argument)}; return;;"


def here(places: Sequence[Place]) -> Iterator[tuple[str, list[str], list[str], Argument | None]]:
    """Of each place: its pattern, its verbs, its options, and the word that may stand alone."""
    for place in places:
        options = [name for argument in place.arguments for name in argument.names]
        alone = next((argument for argument in place.arguments if not argument.names), None)
        yield f"'{at(place)}'", [name for name, _ in place.words], options, alone
