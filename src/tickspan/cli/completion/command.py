"""`tickspan completion bash | zsh | fish`: print a script for the shell to source."""

from __future__ import annotations

import argparse

from tickspan.cli.completion import bash, fish, zsh
from tickspan.cli.outline import WHOLE, outline

__all__ = ["CompletionCommand"]

_SHELLS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}


class CompletionCommand:
    """Exit status 0."""

    name = "completion"
    summary = "print a script with which a shell completes this command"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "shell",
            choices=tuple(_SHELLS),
            help="bash: source <(tickspan completion bash); zsh: the same, after compinit;"
            " fish: tickspan completion fish | source",
        )

    def run(self, options: argparse.Namespace) -> int:
        """Print it."""
        print(_SHELLS[options.shell](list(outline(getattr(options, WHOLE)))), end="")
        return 0
