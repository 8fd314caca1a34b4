"""`tickspan run`: the program is what it would be without it, and telemetry is on."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tickspan.cli.errors import CommandError
from tickspan.cli.main import build_parser
from tickspan.cli.run import SITE, command_of, environment

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]

_ARGUMENTS = "import sys; print(sys.argv[1:])"
_IS_ON = "import sys; print('tickspan.auto' in sys.modules)"


def _parsed(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["run", *arguments])


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["python", "bot.py"], ["python", "bot.py"]),
        (["--", "python", "bot.py"], ["python", "bot.py"]),
        (["bot", "--config", "x", "--debug"], ["bot", "--config", "x", "--debug"]),
        (["--debug", "bot", "--debug"], ["bot", "--debug"]),
        (["--config", "mine.toml", "--", "bot", "--config", "x"], ["bot", "--config", "x"]),
        (["--", "bot", "--", "x"], ["bot", "--", "x"]),
        (["bot", "--", "x"], ["bot", "--", "x"]),
        (["bot", "--help"], ["bot", "--help"]),
        (["--service-name", "a", "--endpoint", "http://c:4318", "bot", "-x"], ["bot", "-x"]),
    ],
)
def test_options_end_where_the_command_begins(arguments: list[str], command: list[str]):
    assert command_of(_parsed(*arguments).command) == command


@pytest.mark.parametrize("arguments", [[], ["--"], ["--debug"]])
def test_no_command_is_an_error_with_an_example(arguments: list[str]):
    with pytest.raises(CommandError, match=r"^expected a command, such as: tickspan run -- python bot\.py$"):
        command_of(_parsed(*arguments).command)


def test_the_environment_is_the_users_with_ours_in_front():
    inherited = {"HOME": "/home/me", "PYTHONPATH": "/mine", "OTEL_SERVICE_NAME": "theirs"}
    assert environment(_parsed("bot"), inherited) == {
        **inherited,
        "PYTHONPATH": f"{SITE}{os.pathsep}/mine",
        "OTEL_PYTHON_DISTRO": "tickspan",
        "OTEL_PYTHON_CONFIGURATOR": "tickspan",
    }


def test_options_become_variables(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.touch()
    options = ["--endpoint", "http://c:4318", "--service-name", "bot", "--config", str(file), "--debug"]
    assert environment(_parsed(*options, "--subprocesses", "bot"), {}) == {
        "PYTHONPATH": str(SITE),
        "OTEL_PYTHON_DISTRO": "tickspan",
        "OTEL_PYTHON_CONFIGURATOR": "tickspan",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "OTEL_SERVICE_NAME": "bot",
        "TICKSPAN_CONFIG_FILE": str(file),
        "TICKSPAN_PRESET": "debug",
        "TICKSPAN_DEBUG": "true",
        "TICKSPAN_RUN_SUBPROCESSES": "1",
    }


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "expected a command, such as: tickspan run -- python bot.py"),
        (["--", "no-such-program"], 127, "no program 'no-such-program' on PATH"),
        (["--config", "gone.toml", "python"], 2, "--config: no file 'gone.toml'"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(run: Run, arguments: list[str], status: int, told: str):
    ended = run("tickspan", "run", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", f"tickspan run: {told}\n")


@pytest.mark.integration
def test_the_programs_own_arguments_pass_untouched(run: Run):
    arguments = ["--config", "x", "--debug", "--", "--c"]
    ended = run("tickspan", "run", "--service-name", "a", "python", "-c", _ARGUMENTS, *arguments)
    assert (ended.stdout, ended.stderr) == (f"{arguments}\n", "")


@pytest.mark.integration
def test_a_healthy_program_ends_and_prints_as_without_us(run: Run):
    program = (
        "import sys, warnings; print('out', flush=True); print('err', file=sys.stderr)\n"
        "import logging; logging.warning('said by the program'); warnings.warn('mind the gap')\n"
        "sys.exit(3)"
    )
    bare = run(sys.executable, "-c", program)
    told = run("tickspan", "run", "--", sys.executable, "-c", program)
    assert (told.returncode, told.stdout, told.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert bare.returncode == 3


@pytest.mark.integration
def test_an_uncaught_error_is_told_as_without_us(run: Run):
    bare = run(sys.executable, "-c", "{}['price']")
    told = run("tickspan", "run", sys.executable, "-c", "{}['price']")
    assert (told.returncode, told.stderr) == (bare.returncode, bare.stderr) == (1, bare.stderr)


@pytest.mark.integration
def test_a_signal_reaches_the_program_itself(clean_environment: Mapping[str, str]):
    program = "import time; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen(
        ["tickspan", "run", "--", sys.executable, "-c", program],
        env=clean_environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM


@pytest.mark.integration
@pytest.mark.parametrize(("options", "told"), [([], "True\nFalse\n"), (["--subprocesses"], "True\nTrue\n")])
def test_subprocesses_are_switched_on_only_if_asked_for(run: Run, options: list[str], told: str):
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_IS_ON!r}], check=True)"
    ended = run("tickspan", "run", *options, "python", "-c", f"{_IS_ON}; sys.stdout.flush(); {child}")
    assert (ended.stdout, ended.stderr) == (told, "")


@pytest.mark.integration
@pytest.mark.parametrize("path", [None, "/one", f"/one{os.pathsep}{os.pathsep}/two"])
def test_the_program_sees_its_own_python_path(run: Run, path: str | None):
    given = {} if path is None else {"PYTHONPATH": path}
    program = "import os; print(os.environ.get('PYTHONPATH'))"
    ended = run("tickspan", "run", "python", "-c", program, **given)
    assert (ended.stdout, ended.stderr) == (f"{path}\n", "")


@pytest.mark.integration
def test_a_sitecustomize_of_the_users_runs_and_is_the_one_that_is_imported(run: Run, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("mine = True\nprint('mine')\n")
    program = f"import sitecustomize; print(sitecustomize.mine); {_IS_ON}"
    ended = run("python", "-c", program, PYTHONPATH=f"{SITE}{os.pathsep}{tmp_path}")
    assert (ended.stdout, ended.stderr) == ("mine\nTrue\nTrue\n", "")


@pytest.mark.integration
def test_a_broken_sitecustomize_of_the_users_is_told_as_without_us(run: Run, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("1 / 0\n")
    bare = run("python", "-c", "print(1)", PYTHONPATH=str(tmp_path))
    told = run("python", "-c", _IS_ON, PYTHONPATH=f"{SITE}{os.pathsep}{tmp_path}")
    assert (told.returncode, told.stdout, told.stderr) == (0, "True\n", bare.stderr)


@pytest.mark.integration
def test_a_python_without_tickspan_runs_the_program_and_says_so_once(run: Run):
    elsewhere = Path(sys.base_prefix) / "bin" / "python3"  # has no package of this environment
    ended = run("tickspan", "run", elsewhere, "-c", "print('done')")
    told = "tickspan: not started: ModuleNotFoundError: No module named 'tickspan' (for"
    assert (ended.stdout, ended.stderr) == ("done\n", f"{told} {elsewhere})\n")


@pytest.mark.integration
def test_opentelemetry_that_cannot_be_imported_never_stops_the_program(run: Run):
    ended = run("tickspan", "run", "python", "-c", "print('done')", OTEL_PROPAGATORS="pigeon")
    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert ended.stderr.startswith("tickspan: not started: ValueError: Propagator pigeon not found.")
    assert ended.stderr.count("\n") == 1


@pytest.mark.integration
def test_debug_tells_what_is_on_and_why_something_is_not(run: Run):
    ended = run("tickspan", "run", "--debug", "python", "-c", "pass")
    assert "tickspan: instrumentor 'tickspan_redis' is on\n" in ended.stderr
    assert "tickspan: instrumentor 'redis' is off: 'tickspan_redis' runs for this library\n" in ended.stderr


@pytest.mark.integration
def test_init_under_the_launcher_changes_nothing_and_says_nothing(run: Run):
    program = "import tickspan; tickspan.init(); print(tickspan.init().debug)"
    ended = run("tickspan", "run", "python", "-c", program)
    assert (ended.stdout, ended.stderr) == ("False\n", "")


@pytest.mark.integration
def test_upstreams_launcher_is_as_silent_with_our_distribution(run: Run):
    ended = run("opentelemetry-instrument", "python", "-c", "print('done')", OTEL_PYTHON_DISTRO="tickspan")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
