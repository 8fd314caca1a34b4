"""Completion: the scripts know every verb and option, and a real shell completes with them."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tickspan.cli.completion import bash, fish, zsh
from tickspan.cli.main import build_parser, main
from tickspan.cli.outline import Place, outline

_SCRIPTS: dict[str, Callable[[Sequence[Place]], str]] = {
    "bash": bash.script,
    "zsh": zsh.script,
    "fish": fish.script,
}
_ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_tickspan
printf '%s\\n' "${COMPREPLY[@]}"
"""
_ASK_FISH = 'source $argv[1]; complete -C "$argv[2]"'
_ASK_ZSH = """
compdef() { :; }
_describe() { shift 2; print -l -- ${(P)1%%:*}; }
compadd() { shift; print -l -- $@; }
source $1; shift
words=("$@"); CURRENT=$#
_tickspan
"""


def _told(shell: str, *arguments: str | Path) -> list[str]:
    """What a shell prints."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed here: its script is compared with the parsers only")
    ended = subprocess.run(
        [found, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stderr == ""
    return [line for line in ended.stdout.splitlines() if line]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    places = list(outline(build_parser()))
    folder = tmp_path_factory.mktemp("completion")

    def write(shell: str) -> Path:
        path = folder / shell
        path.write_text(_SCRIPTS[shell](places))
        return path

    return write


def _in_bash(script: Callable[[str], Path], *words: str) -> list[str]:
    return _told("bash", "--norc", "-c", _ASK_BASH, "bash", script("bash"), "tickspan", *words)


@pytest.mark.parametrize("shell", _SCRIPTS)
def test_a_script_is_printed(capsys: pytest.CaptureFixture[str], shell: str):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == _SCRIPTS[shell](list(outline(build_parser())))


@pytest.mark.parametrize("shell", _SCRIPTS)
def test_every_verb_and_option_is_in_the_script(script: Callable[[str], Path], shell: str):
    text = script(shell).read_text()
    names = [
        name.lstrip("-") if shell == "fish" else name
        for place in outline(build_parser())
        for name in [*(word for word, _ in place.words), *(n for one in place.arguments for n in one.names)]
    ]
    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ta"], ["tail"]),
        (["queries", "ver"], ["verify"]),
        (["agent", "dead", "re"], ["redrive"]),
        (["profile", "rec"], ["record"]),
        (["profile", "record", "--fr"], ["--frames"]),
        (["queries", "top", "--format", ""], ["text", "json", "markdown", "sql"]),
        (["queries", "top", "--format", "=", "j"], ["json"]),
        (["run", "--preset", ""], ["hft", "risk", "oms", "debug"]),
        (["metrics", "--service", "run", "--se"], ["--service", "--section"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["tail", "--service", ""], []),
        (["run", "--sub"], ["--subprocesses"]),
    ],
)
def test_bash_completes_verbs_options_and_choices(
    script: Callable[[str], Path], words: list[str], expected: list[str]
):
    assert _in_bash(script, *words) == expected


def test_bash_completes_files_and_folders_with_spaces_in_their_names(
    script: Callable[[str], Path], tmp_path: Path
):
    (tmp_path / "my folder").mkdir()
    (tmp_path / "my file.toml").touch()
    begun = f"{tmp_path}/my"
    assert sorted(_in_bash(script, "run", "--config", begun)) == [f"{begun} file.toml", f"{begun} folder"]
    assert _in_bash(script, "tail", "--directory", begun) == [f"{begun} folder"]


def test_bash_leaves_what_follows_a_program_to_that_program(script: Callable[[str], Path], tmp_path: Path):
    (tmp_path / "bot.py").touch()
    begun = f"{tmp_path}/bo"
    assert _in_bash(script, "run", "--preset", "hft", "--", "python", begun) == [f"{begun}t.py"]
    assert _in_bash(script, "run", "python", "--pre") == []


def test_zsh_completes_verbs_options_and_choices(script: Callable[[str], Path]):
    def ask(*words: str) -> list[str]:
        return _told("zsh", "-f", "-c", _ASK_ZSH, "zsh", script("zsh"), "tickspan", *words)

    assert "tail" in ask("")
    assert "--frames" in ask("profile", "record", "--fr")
    assert ask("queries", "top", "--format", "") == ["text", "json", "markdown", "sql"]


def test_fish_completes_verbs_options_and_choices(script: Callable[[str], Path]):
    def ask(line: str) -> list[str]:
        told = _told("fish", "--no-config", "-c", _ASK_FISH, script("fish"), line)
        return [one.partition("\t")[0] for one in told]

    assert ask("tickspan ta") == ["tail"]
    assert ask("tickspan profile record --fr") == ["--frames"]
    assert set(ask("tickspan queries top --format ")) == {"text", "json", "markdown", "sql"}
