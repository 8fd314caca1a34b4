"""One command line: every verb tells its exit statuses, gives data where it tells something, and is known."""

import argparse

import pytest

from tickspan.cli.main import build_parser, commands
from tickspan.cli.outline import Argument, Place, Takes, outline
from tickspan.cli.statuses import STATUSES
from tickspan.cli.suggestions import SuggestingAction

NO_DATA = {
    "run": "becomes the program, and tells nothing",
    "profile": "runs the program; the profile is a file",
    "profile record": "the profile is a file",
    "completion": "its output is a script",
}
"""Verbs without `--json`, and why."""


def _ours() -> list[Place]:
    ours = {command.name for command in commands() if type(command).__module__.startswith("tickspan.")}
    return [place for place in outline(build_parser()) if place.path and place.path[0] in ours]


def _complete() -> dict[str, Place]:
    return {" ".join(place.path): place for place in _ours() if place.is_complete}


def test_whatever_is_told_can_be_had_as_data():
    without = [
        path
        for path, place in _complete().items()
        if not any("--json" in argument.names for argument in place.arguments)
    ]
    assert sorted(without) == sorted(NO_DATA)


def test_every_verb_says_what_its_exit_statuses_mean():
    complete = _complete()
    assert [path for path in complete if path not in STATUSES] == []
    assert [path for path, place in complete.items() if "exit status: " not in place.epilog] == []


def test_no_status_is_told_of_a_verb_that_is_not_there():
    assert STATUSES.keys() - _complete().keys() == set()


def test_the_help_ends_with_the_exit_statuses(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["agent", "drain", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith(
        "exit status: 0 nothing waits any more; 1 something still waits after --timeout; 2 wrong usage or bad"
        " input; 130 interrupted"
    )


def test_every_argument_has_a_meaning():
    silent = [
        (path, argument.names)
        for path, place in _complete().items()
        for argument in place.arguments
        if not argument.meaning and argument.takes is not Takes.COMMAND
    ]
    assert silent == []


def test_a_parser_is_told_as_data():
    parser = argparse.ArgumentParser(prog="p", description="does it", epilog="the end")
    parser.add_argument("--file", metavar="FILE", help="a file")
    parser.add_argument("--directory", metavar="DIR", help="a folder")
    parser.add_argument("-n", "--number", type=int, metavar="N", help="how many")
    parser.add_argument("--kind", choices=("a", "b"), help="which")
    parser.add_argument("--mood", action=SuggestingAction, suggestions=("good", "bad"), help="any")
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    (place,) = outline(parser)
    assert (place.path, place.summary, place.epilog, place.words) == ((), "does it", "the end", ())
    assert place.arguments[1:] == (
        Argument(("--file",), Takes.FILE, "FILE", (), "a file"),
        Argument(("--directory",), Takes.FOLDER, "DIR", (), "a folder"),
        Argument(("-n", "--number"), Takes.WORD, "N", (), "how many"),
        Argument(("--kind",), Takes.CHOICE, "KIND", ("a", "b"), "which"),
        Argument(("--mood",), Takes.CHOICE, "MOOD", ("good", "bad"), "any"),
        Argument((), Takes.COMMAND, "WORDS", (), ""),
    )
    assert parser.parse_args(["--mood", "odd"]).mood == "odd"
