"""A probe: the one way in which analysis asks a database for its schema and its plans."""

from __future__ import annotations

from typing import Protocol

from tickspan.analysis.plans.model import Plan
from tickspan.analysis.sql.schema import Schema

__all__ = ["Probe", "Refused", "Unreachable"]


class Refused(Exception):  # noqa: N818 - an answer, not a fault: most statements of a workload are never asked
    """A statement that is not explained; the message is one line that says why, without a literal."""


class Unreachable(Exception):  # noqa: N818 - named for what the database is
    """The database could not be asked; the message is one line that says why and what to do."""


class Probe(Protocol):
    """Asks one database, over a connection that nobody else uses."""

    def schema(self) -> Schema:
        """Tables, indexes and statistics. Raises `Unreachable`."""
        ...

    def explain(self, sql: str, *, analyze: bool = False) -> Plan:
        """The plan of one statement.

        Args:
            sql: one SELECT, INSERT, UPDATE or DELETE; placeholders in the dialect's own or canonical form.
            analyze: run it, and measure. SELECT only.

        Raises:
            Refused: it is not admitted, the database would not plan it, or it is asked too often.
            Unreachable: there is no connection.
        """
        ...
