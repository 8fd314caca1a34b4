"""The script for zsh: sourced after `compinit`, or as the file `_tickspan` in a folder of `fpath`."""

from __future__ import annotations

from collections.abc import Sequence

from tickspan.cli.completion.cases import after_options, at, deeper, options_with_values
from tickspan.cli.outline import Argument, Place, Takes

__all__ = ["script"]


def script(places: Sequence[Place]) -> str:
    """The whole script."""
    commands = [place for place in places if any(one.takes is Takes.COMMAND for one in place.arguments)]
    return _SCRIPT.format(
        deeper=deeper(places),
        launching="|".join(at(place) for place in commands) or "-",
        valued=options_with_values(commands) or "-",
        values="\n".join(after_options(places, _answer)),
        here="\n".join(_here(place) for place in places),
    )


def _here(place: Place) -> str:
    told = [f"{name}:{meaning}" for name, meaning in place.words]
    told += [f"{name}:{one.meaning}" for one in place.arguments for name in one.names]
    quoted = " ".join(_quoted(one) for one in told)
    alone = next((one for one in place.arguments if not one.names), None)
    offer = f"offers=({quoted}); _describe -o tickspan offers"
    if alone is not None and not place.words:
        offer = f'if [[ "$cur" == -* ]]; then {offer}; else {_answer(alone)}; fi'
    return f"        '{at(place)}') {offer};;"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _answer(argument: Argument) -> str:
    match argument.takes:
        case Takes.CHOICE:
            return f"compadd -- {' '.join(argument.words)}"
        case Takes.FOLDER:
            return "_files -/"
        case Takes.FILE:
            return "_files"
        case Takes.COMMAND:
            return "_command_names -e"
        case _:
            return "_message " + _quoted(argument.metavar.lower() or "value")


_SCRIPT = """\
#compdef tickspan
# Completion of tickspan in zsh: source <(tickspan completion zsh)
_tickspan() {{
    local cur="${{words[CURRENT]}}" prev="${{words[CURRENT-1]}}" at="" word before="" i
    local -a offers
    for ((i = 2; i < CURRENT; i++)); do
        word="${{words[i]}}"
        case "$at/$word" in
            {deeper}) at="$at/$word"; before="$word"; continue;;
        esac
        case "$at" in
            {launching})
                case "$at $before" in
                    {valued}) ;;
                    *)
                        if [[ "$word" != -* ]]; then
                            shift $((i - 1)) words
                            (( CURRENT -= i - 1 ))
                            _normal
                            return
                        fi;;
                esac;;
        esac
        before="$word"
    done
    case "$at $prev" in
{values}
    esac
    case "$at" in
{here}
    esac
}}
if [ "$funcstack[1]" = "_tickspan" ]; then
    _tickspan "$@"
else
    compdef _tickspan tickspan
fi
"""
