"""`tickspan queries`: what an application asks its databases, what could be better, and how."""

from tickspan.cli.queries.command import QueriesCommand

__all__ = ["QueriesCommand"]
