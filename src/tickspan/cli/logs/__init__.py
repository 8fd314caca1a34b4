"""`tickspan logs`: find lines in log files, follow them, and check the chain of audit records."""

from tickspan.cli.logs.command import LogsCommand

__all__ = ["LogsCommand"]
