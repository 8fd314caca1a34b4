"""The verb `profile`: a program to run, or one of its actions."""

from __future__ import annotations

import argparse
from typing import Final

from tickspan.cli.actions import Action
from tickspan.cli.errors import CommandError
from tickspan.cli.outline import FURTHER
from tickspan.cli.profile import diff, record, report, run

__all__ = ["ProfileCommand"]

_ALL: Final[tuple[Action, ...]] = (record, report, diff)
_ACTIONS: Final = {action.NAME: action for action in _ALL}


class ProfileCommand:
    """Exit status of the program; else 0 for fine, 1 for regressions, 2 for bad input, 3 unanswered."""

    name = "profile"
    summary = "where a program's time goes: run one sampled, or record, report, diff"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of a run; an action has its own, and a `--help`."""
        words = ", ".join(_ACTIONS)
        parser.usage = (
            "tickspan profile [-o FILE] [--hz HZ] -- COMMAND [ARGUMENT ...]\n"
            f"       tickspan profile {{{words}}} [options]"
        )
        run.add_options(parser)
        parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        further = {action.NAME: (action.SUMMARY, _parser_of(action)) for action in _ALL}
        parser.set_defaults(**{FURTHER: further})

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        words: list[str] = options.words
        action = _ACTIONS.get(words[0]) if words else None
        if action is None:
            if words[:1] != ["--"]:
                known = ", ".join(_ACTIONS)
                raise CommandError(
                    f"expected '-- COMMAND', or one of {known}; such as: tickspan profile -- python bot.py"
                )
            return run.run(options, words)
        further: dict[str, tuple[str, argparse.ArgumentParser]] = getattr(options, FURTHER)
        return action.run(further[action.NAME][1].parse_args(words[1:]))


def _parser_of(action: Action) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"tickspan profile {action.NAME}", description=action.SUMMARY, allow_abbrev=False
    )
    action.add_options(parser)
    return parser
