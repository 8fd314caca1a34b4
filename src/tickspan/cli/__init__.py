"""The command line: `tickspan run | demo | doctor | agent`, and the verbs that members add."""

from tickspan.cli.main import main

__all__ = ["main"]
