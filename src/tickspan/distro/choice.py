"""Which instrumentor runs for a library that has ours and upstream's: never both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

OURS: Final = "tickspan_"
"""Entry points of ours are prefixed: OpenTelemetry does not tell equal names apart."""


_OURS_OF_DRIVERS: Final = f"{OURS}dbapi"
_DRIVERS: Final = frozenset({"asyncpg", "psycopg", "psycopg2", "pymysql", "sqlite3"})
"""Upstream's names of what one of ours knows together; that one leaves a call to upstream if both run."""

DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def disabled_names(environ: Mapping[str, str]) -> frozenset[str]:
    """Instrumentors and libraries that the standard variable switches off; `*` is all."""
    return frozenset(name.strip() for name in environ.get(DISABLED, "").split(",") if name.strip())


def reason_to_skip(
    name: str,
    installed: Collection[str],
    prefer_upstream: Collection[str],
    disabled: Collection[str] = (),
) -> str | None:
    """Why the entry point `name` stays off; None if it is to run.

    Args:
        name: of an entry point in the group `opentelemetry_instrumentor`.
        installed: all names in that group.
        prefer_upstream: libraries whose upstream instrumentor is asked for.
        disabled: names that the user switches off; a library's name means both instrumentors.
    """
    library = name.removeprefix(OURS)
    is_ours = name != library
    if not {name, library, "*"}.isdisjoint(disabled):
        return f"switched off by {DISABLED}"
    wants_upstream = library in prefer_upstream and library in installed
    if is_ours and wants_upstream:
        return f"upstream's '{library}' is preferred by configuration"
    ours = _OURS_OF_DRIVERS if library in _DRIVERS else OURS + library
    if not is_ours and ours in installed and not wants_upstream:
        return f"'{ours}' runs for this library"
    return None
