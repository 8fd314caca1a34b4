"""The command line as data: every verb and action with its options. Completion and the reference read it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tickspan.cli.suggestions import SuggestingAction

__all__ = ["FURTHER", "WHOLE", "Argument", "Place", "Takes", "options_of", "outline", "parsers"]

WHOLE: Final = "whole_command_line"
"""Default of the first parser: itself, for the verb that tells all others."""
FURTHER: Final = "further_actions"
"""Default of a parser that hands what follows to other parsers: (summary, parser) by word."""


class Takes(StrEnum):
    """What an option or a word is."""

    NOTHING = "nothing"
    WORD = "word"
    CHOICE = "choice"
    FILE = "file"
    FOLDER = "folder"
    COMMAND = "command"
    """A program and its arguments, to the end of the line."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An option, or a word that stands alone.

    Attributes:
        names: such as `--limit` and `-n`; none of a word that stands alone.
        takes: what its value is.
        metavar: how the help calls that.
        words: those that can be chosen, or are suggested.
        meaning: its line in the help.
    """

    names: tuple[str, ...]
    takes: Takes
    metavar: str
    words: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Place:
    """What may follow after some words.

    Attributes:
        path: those words, without `tickspan`.
        usage: one line.
        summary: of the last of them.
        epilog: what the help ends with: exit statuses.
        words: verbs or actions with their summaries.
        arguments: options, then words that stand alone.
    """

    path: tuple[str, ...]
    usage: str
    summary: str
    epilog: str
    words: tuple[tuple[str, str], ...]
    arguments: tuple[Argument, ...]

    @property
    def is_complete(self) -> bool:
        """Whether it does something as it stands, rather than wait for one more word."""
        return not self.words or any(one.takes is Takes.COMMAND for one in self.arguments)


_OF_METAVAR: Final = {"FILE": Takes.FILE, "PATH": Takes.FILE, "DIR": Takes.FOLDER, "FOLDER": Takes.FOLDER}


def parsers(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """A parser and all below it, each before those below, with the words that lead there."""
    yield path, parser
    for name, (_, made) in _below(parser).items():
        yield from parsers(made, (*path, name))


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options that a parser takes itself, as they are typed."""
    for action in _actions(parser):
        yield from action.option_strings


def outline(parser: argparse.ArgumentParser) -> Iterator[Place]:
    """Of a parser and all below it, each before those below."""
    for path, made in parsers(parser):
        yield Place(
            path,
            " ".join(made.format_usage().removeprefix("usage: ").split()),
            made.description or "",
            made.epilog or "",
            tuple((name, summary) for name, (summary, _) in _below(made).items()),
            tuple(_argument(action) for action in _actions(made) if action.nargs != argparse.PARSER),
        )


def _below(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Summary and parser of each word that may follow."""
    found: dict[str, tuple[str, argparse.ArgumentParser]] = dict(parser.get_default(FURTHER) or {})
    for action in _actions(parser):
        if action.nargs == argparse.PARSER:
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            found.update({name: (summaries.get(name, ""), made) for name, made in action.choices.items()})
    return found


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    return parser._actions  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - nothing else tells


def _argument(action: Any) -> Argument:
    words = tuple(map(str, action.choices or ()))
    if isinstance(action, SuggestingAction):
        words = action.suggestions
    return Argument(
        tuple(action.option_strings), _takes(action, words), _metavar(action), words, _meaning(action)
    )


def _meaning(action: Any) -> str:
    """Its help as argparse shows it, defaults filled in."""
    if action.help in (None, argparse.SUPPRESS):
        return ""
    choices = ", ".join(map(str, action.choices or ()))
    return str(action.help) % {**vars(action), "choices": choices, "prog": "tickspan"}


def _takes(action: Any, words: tuple[str, ...]) -> Takes:
    if action.nargs == argparse.REMAINDER:
        return Takes.COMMAND
    if action.nargs == 0:
        return Takes.NOTHING
    if words:
        return Takes.CHOICE
    return _OF_METAVAR.get(_metavar(action), Takes.WORD)


def _metavar(action: Any) -> str:
    if action.nargs == 0:
        return ""
    return str(action.metavar or action.dest).upper()
