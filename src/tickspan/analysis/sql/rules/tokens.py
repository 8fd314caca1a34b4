"""The rules that need no parser: what flags and circumstances of a statement tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final, Protocol

from tickspan.analysis.findings import Finding, Rule
from tickspan.analysis.sql.rules import (
    blocking_call_in_loop,
    large_in_list,
    large_offset,
    leading_wildcard,
    literal_in_query,
    multi_statement,
    write_without_where,
)
from tickspan.analysis.sql.rules.context import Context

__all__ = ["TOKEN_RULES", "token_findings"]


class _TokenRule(Protocol):
    """A module of a rule."""

    @property
    def RULE(self) -> Rule: ...  # noqa: N802 - a module's constant

    def check(self, context: Context) -> Finding | None: ...


_CHECKS: Final[tuple[_TokenRule, ...]] = (
    write_without_where,
    multi_statement,
    leading_wildcard,
    large_in_list,
    large_offset,
    literal_in_query,
    blocking_call_in_loop,
)

TOKEN_RULES: Final[tuple[Rule, ...]] = tuple(module.RULE for module in _CHECKS)
"""Worst first."""


def token_findings(context: Context, ignore: Collection[str] = ()) -> tuple[Finding, ...]:
    """What the statement's tokens and circumstances show; rules in `ignore` are not asked."""
    statement = context.statement
    return tuple(
        replace(found, fingerprint=statement.fingerprint, summary=statement.summary)
        for module in _CHECKS
        if module.RULE.id not in ignore and (found := module.check(context)) is not None
    )
