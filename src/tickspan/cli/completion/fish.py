"""The script for fish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickspan.cli.completion.cases import at, deeper
from tickspan.cli.outline import Argument, Place, Takes

__all__ = ["script"]

_FOLDERS = "(__fish_complete_directories)"
_PROGRAM = "(__fish_complete_subcommand --fcs-skip=2)"


def script(places: Sequence[Place]) -> str:
    """The whole script."""
    lines = [line for place in places for line in _lines(place)]
    return _SCRIPT.format(deeper=" ".join(deeper(places).split("|")), lines="\n".join(lines))


def _lines(place: Place) -> Iterator[str]:
    head = f"complete -c tickspan -n '__tickspan_at \"{at(place)}\"'"
    for name, meaning in place.words:
        yield f"{head} -a {name} -d {_quoted(meaning)}"
    for argument in place.arguments:
        if argument.names:
            yield f"{head} {_named(argument)}{_values(argument)} -d {_quoted(argument.meaning)}"
        else:
            yield f"{head}{_values(argument)}"


def _named(argument: Argument) -> str:
    return " ".join(
        f"-l {name.removeprefix('--')}" if name.startswith("--") else f"-s {name.removeprefix('-')}"
        for name in argument.names
    )


def _values(argument: Argument) -> str:
    match argument.takes:
        case Takes.NOTHING:
            return ""
        case Takes.CHOICE:
            return f" -x -a {_quoted(' '.join(argument.words))}"
        case Takes.FOLDER:
            return f" -x -a {_quoted(_FOLDERS)}"
        case Takes.FILE:
            return " -r -F"
        case Takes.COMMAND:
            return f" -x -a {_quoted(_PROGRAM)}"
        case Takes.WORD:
            return " -x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPT = """\
# Completion of tickspan in fish: tickspan completion fish | source
function __tickspan_at
    set -l at ''
    for word in (commandline -opc)[2..]
        switch "$at/$word"
            case {deeper}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c tickspan -f
{lines}
"""
