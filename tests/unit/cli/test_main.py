"""The command line: its verbs, wrong usage in one line, exit statuses."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cli import main
from tickspan.cli.main import build_parser, commands
from tickspan.version import __version__

Ended = subprocess.CompletedProcess[str]

_SECONDS = "argument --seconds: expected 1 to 600 seconds"
_PORT = "argument --port: expected a port from 0 to 65535"
_TIMEOUT = "argument --timeout: expected up to 60 seconds"


@pytest.mark.parametrize(
    ("arguments", "prog", "told"),
    [
        ([], "tickspan", "the following arguments are required: VERB"),
        (["demo", "--seconds", "ages"], "tickspan demo", f"{_SECONDS}, got 'ages'"),
        (["demo", "--seconds", "0"], "tickspan demo", f"{_SECONDS}, got '0'"),
        (["demo", "--port", "70000"], "tickspan demo", f"{_PORT}, got '70000'"),
        (["demo", "--zeal"], "tickspan", "unknown option --zeal"),
        (["demo", "--second=3"], "tickspan", "unknown option --second; did you mean --seconds?"),
        (["run", "--zeal", "bot.py"], "tickspan", "unknown option --zeal"),
        (["agent", "status", "--jsn"], "tickspan", "unknown option --jsn; did you mean --json?"),
        (["doctor", "--timeout", "-1"], "tickspan doctor", f"{_TIMEOUT}, got '-1'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], prog: str, told: str
):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert (raised.value.code, capsys.readouterr()) == (2, ("", f"{prog}: {told}; see '{prog} --help'\n"))


def test_an_unknown_verb_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["dance"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'dance'" in line
    assert all(command.name in line for command in commands())


def test_output_that_nobody_reads_to_its_end_is_no_error(clean_environment: dict[str, str]):
    words = [sys.executable, "-m", "tickspan", "completion", "bash"]
    with subprocess.Popen(
        words, env=clean_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as ended:
        assert ended.stdout is not None
        ended.stdout.close()
        said = ended.communicate()[1]
    assert (ended.returncode, said) == (141, b"")


def test_what_a_command_cannot_do_is_one_line_with_its_verb(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    status = main(["demo", "--json", str(tmp_path / "gone" / "report.json")])
    assert (status, capsys.readouterr()) == (
        2,
        (
            "",
            f"tickspan demo: --json: cannot write '{tmp_path}/gone/report.json': No such file or directory\n",
        ),
    )


def test_help_of_a_verb_is_its_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        main(["help", "agent", "drain"])
    assert raised.value.code == 0
    assert capsys.readouterr().out.startswith("usage: tickspan agent drain ")


def test_every_verb_has_a_line_in_the_help():
    text = build_parser().format_help()
    assert [command.name for command in commands() if command.summary not in " ".join(text.split())] == []


@pytest.mark.integration
def test_the_module_is_the_command(run: Callable[..., Ended]):
    as_module = run(sys.executable, "-m", "tickspan", "--version")
    as_script = run("tickspan", "--version")
    assert (as_module.stdout, as_script.stdout) == (f"tickspan {__version__}\n", f"tickspan {__version__}\n")
    assert as_module.returncode == as_script.returncode == 0


@pytest.mark.integration
def test_finding_the_verb_does_not_import_opentelemetry(run_python: Callable[..., Ended]):
    program = (
        "import sys; from tickspan.cli.main import build_parser; build_parser()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert run_python(program).stdout == "[]\n"
