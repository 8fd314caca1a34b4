"""Rules over statements: those that read tokens need no parser, the others sqlglot's trees.

One module is one rule: `RULE`, and a pure `check`. The names below are loaded when they are first used, so
that an application which runs the token rules does not load a parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from tickspan.analysis.sql.rules.checker import Checker, CheckerStatistics
    from tickspan.analysis.sql.rules.context import Context
    from tickspan.analysis.sql.rules.registry import RULES
    from tickspan.analysis.sql.rules.tokens import TOKEN_RULES, token_findings

_HOMES = {
    "RULES": "tickspan.analysis.sql.rules.registry",
    "TOKEN_RULES": "tickspan.analysis.sql.rules.tokens",
    "Checker": "tickspan.analysis.sql.rules.checker",
    "CheckerStatistics": "tickspan.analysis.sql.rules.checker",
    "Context": "tickspan.analysis.sql.rules.context",
    "token_findings": "tickspan.analysis.sql.rules.tokens",
}

__all__ = ["RULES", "TOKEN_RULES", "Checker", "CheckerStatistics", "Context", "token_findings"]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # lazy: see above

    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
