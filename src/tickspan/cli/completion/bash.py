"""The script for bash, from 3.2 on; it needs no `bash-completion`, and uses it for programs under `run`."""

from __future__ import annotations

from collections.abc import Sequence

from tickspan.cli.completion.cases import after_options, deeper, here, options_with_values
from tickspan.cli.outline import Argument, Place, Takes

__all__ = ["script"]


def script(places: Sequence[Place]) -> str:
    """The whole script."""
    commands = [place for place in places if any(one.takes is Takes.COMMAND for one in place.arguments)]
    return _SCRIPT.format(
        deeper=deeper(places),
        launching="|".join(f"/{'/'.join(place.path)}" for place in commands) or "-",
        valued=options_with_values(commands) or "-",
        values="\n".join(after_options(places, _answer)),
        here="\n".join(_here(places)),
        of_files=_OF_FILES,
    )


def _here(places: Sequence[Place]) -> list[str]:
    lines: list[str] = []
    for pattern, words, options, alone in here(places):
        offer = f'COMPREPLY=($(compgen -W "{" ".join([*words, *options])}" -- "$cur"))'
        if alone is not None and not words:
            offer = f'if [[ "$cur" == -* ]]; then {offer}; else {_answer(alone)}; fi'
        lines.append(f"        {pattern}) {offer};;")
    return lines


def _answer(argument: Argument) -> str:
    match argument.takes:
        case Takes.CHOICE:
            return f'COMPREPLY=($(compgen -W "{" ".join(argument.words)}" -- "$cur"))'
        case Takes.FOLDER:
            return f'{_OF_FILES}COMPREPLY=($(compgen -d -- "$cur"))'
        case Takes.FILE:
            return f'{_OF_FILES}COMPREPLY=($(compgen -f -- "$cur"))'
        case Takes.COMMAND:
            return 'COMPREPLY=($(compgen -c -- "$cur"))'
        case _:
            return "COMPREPLY=()"


_OF_FILES = "compopt -o filenames 2>/dev/null; IFS=$'\\n'; "
"""A name may have spaces."""
_SCRIPT = """\
# Completion of tickspan in bash: source <(tickspan completion bash)
_tickspan() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" at="" word before="" i
    local IFS=$' \\t\\n'
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        case "$at/$word" in
            {deeper}) at="$at/$word"; before="$word"; continue;;
        esac
        case "$at" in
            {launching})
                case "$at $before" in
                    {valued}) ;;
                    *)
                        if [[ "$word" != -* ]]; then
                            if declare -F _command_offset >/dev/null; then
                                _command_offset "$i"
                            else
                                {of_files}COMPREPLY=($(compgen -f -- "$cur"))
                            fi
                            return
                        fi;;
                esac;;
        esac
        before="$word"
    done
    if [[ "$cur" == "=" ]]; then
        cur=""
    elif [[ "$prev" == "=" ]]; then
        prev="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    case "$at $prev" in
{values}
    esac
    case "$at" in
{here}
    esac
}}
complete -F _tickspan tickspan
"""
