"""SQL without a parser: what a statement is, seen in one pass, for every text an application runs."""

from tickspan.analysis.sql.cache import StatementCache, StatementCacheStatistics
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.statement import SCAN_LIMIT, Flag, Statement, broken_rules, canonicalise
from tickspan.analysis.sql.summary import Kind

__all__ = [
    "SCAN_LIMIT",
    "Dialect",
    "Flag",
    "Kind",
    "Statement",
    "StatementCache",
    "StatementCacheStatistics",
    "broken_rules",
    "canonicalise",
]
