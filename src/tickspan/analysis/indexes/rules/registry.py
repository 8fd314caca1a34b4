"""All rules about indexes, and what looks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from tickspan.analysis.findings import Finding, Rule
from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.indexes.rules import (
    index_ineffective,
    index_verified,
    invalid_index,
    redundant_index,
    unindexed_fk,
    unused_index,
)
from tickspan.analysis.indexes.trial import Trial

__all__ = ["CATALOG_CHECKS", "RULES", "TRIAL_CHECKS", "CatalogCheck", "TrialCheck"]

CatalogCheck: TypeAlias = Callable[[CatalogContext], Iterator[Finding]]
TrialCheck: TypeAlias = Callable[[Trial], Iterator[Finding]]

_OF_CATALOGS: Final = (redundant_index, unused_index, unindexed_fk, invalid_index)
_OF_TRIALS: Final = (index_verified, index_ineffective)

RULES: Final[tuple[Rule, ...]] = tuple(module.RULE for module in (*_OF_CATALOGS, *_OF_TRIALS))
"""All of them."""

CATALOG_CHECKS: Final[tuple[tuple[Rule, CatalogCheck], ...]] = tuple(
    (module.RULE, module.check) for module in _OF_CATALOGS
)
"""Rules about a schema, with the functions that look."""

TRIAL_CHECKS: Final[tuple[tuple[Rule, TrialCheck], ...]] = tuple(
    (module.RULE, module.check) for module in _OF_TRIALS
)
"""Rules about what an advised index did, with the functions that look."""
