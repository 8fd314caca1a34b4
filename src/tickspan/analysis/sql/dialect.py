"""Whose rules a SQL text follows."""

from enum import StrEnum
from typing import Final

__all__ = ["Dialect"]


class Dialect(StrEnum):
    """Whose rules of quoting, comments and placeholders hold; `GENERIC` is the most suspicious of each."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    GENERIC = "generic"

    @classmethod
    def of(cls, system: str) -> "Dialect":
        """The dialect of a `db.system.name` or a SQLAlchemy dialect; `GENERIC` for one that is not known."""
        return _SYSTEMS.get(system.lower(), cls.GENERIC)


_SYSTEMS: Final = {
    "postgresql": Dialect.POSTGRESQL,
    "cockroachdb": Dialect.POSTGRESQL,
    "redshift": Dialect.POSTGRESQL,
    "aws.redshift": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
    "sqlite": Dialect.SQLITE,
}
