"""`tickspan tail`: traces of all programs on this host, as they end."""

from tickspan.cli.tail.command import TailCommand

__all__ = ["TailCommand"]
