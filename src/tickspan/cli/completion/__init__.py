"""`tickspan completion`: scripts that let a shell complete the command line, made of its parsers."""

from tickspan.cli.completion.command import CompletionCommand

__all__ = ["CompletionCommand"]
