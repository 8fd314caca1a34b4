"""`tickspan run`: start a program with tickspan switched on, without touching the program."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import tickspan
from tickspan.cli.errors import CommandError
from tickspan.cli.preset_option import add_preset_option, known_presets

NOT_FOUND: Final = 127
SITE: Final = Path(tickspan.__file__).parent / "auto" / "site"
"""The folder whose `sitecustomize` starts tickspan. Its package is not imported here: importing it starts."""


class RunCommand:
    """Options end where the command begins: everything after belongs to the program."""

    name = "run"
    summary = "run a Python program with tickspan switched on"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.usage = "tickspan run [options] [--] COMMAND [ARGUMENT ...]"
        parser.add_argument(
            "--endpoint", metavar="URL", help="send OTLP to this collector (OTEL_EXPORTER_OTLP_ENDPOINT)"
        )
        parser.add_argument("--service-name", metavar="NAME", help="service.name (OTEL_SERVICE_NAME)")
        parser.add_argument("--config", metavar="FILE", help="settings in TOML (TICKSPAN_CONFIG_FILE)")
        add_preset_option(parser, "settings for a kind of program (TICKSPAN_PRESET)")
        parser.add_argument(
            "--debug",
            action="store_true",
            help="the preset debug besides: more is told, of the program and of tickspan; says what",
        )
        parser.add_argument(
            "--subprocesses",
            action="store_true",
            help="switch tickspan on in the program's Python sub-processes too",
        )
        parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)

    def run(self, options: argparse.Namespace) -> int:
        """Become the program."""
        command = command_of(options.command)
        program = shutil.which(command[0])
        if program is None:
            raise CommandError(f"no program '{command[0]}' on PATH", NOT_FOUND)
        os.execve(program, command, environment(options, os.environ))  # noqa: S606 - becoming it is the point


def command_of(words: Sequence[str]) -> list[str]:
    """The program and its arguments; a leading `--` is ours. Raises `CommandError` when there is none."""
    command = list(words[1:] if words[:1] == ["--"] else words)
    if not command:
        raise CommandError("expected a command, such as: tickspan run -- python bot.py")
    return command


def environment(options: argparse.Namespace, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the program: ours in front, nothing of the user's lost."""
    presets = known_presets(options.preset) if options.preset else [inherited.get("TICKSPAN_PRESET", "")]
    path = [str(SITE), *(entry for entry in [inherited.get("PYTHONPATH")] if entry)]
    chosen = {
        "PYTHONPATH": os.pathsep.join(path),
        "OTEL_PYTHON_DISTRO": "tickspan",
        "OTEL_PYTHON_CONFIGURATOR": "tickspan",
        "OTEL_EXPORTER_OTLP_ENDPOINT": options.endpoint,
        "OTEL_SERVICE_NAME": options.service_name,
        "TICKSPAN_CONFIG_FILE": _existing(options.config),
        "TICKSPAN_PRESET": ",".join(filter(None, [*presets, "debug" if options.debug else ""])),
        "TICKSPAN_DEBUG": "true" if options.debug else None,
        "TICKSPAN_RUN_SUBPROCESSES": "1" if options.subprocesses else None,
    }
    return {**inherited, **{name: value for name, value in chosen.items() if value}}


def _existing(path: str | None) -> str | None:
    if path is None:
        return None
    if not Path(path).is_file():
        raise CommandError(f"--config: no file '{path}'")
    return str(Path(path).resolve())
