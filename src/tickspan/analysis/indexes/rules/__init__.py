"""Rules about indexes, one module each: `RULE`, and a pure `check`."""

from tickspan.analysis.indexes.rules.registry import (
    CATALOG_CHECKS,
    RULES,
    TRIAL_CHECKS,
    CatalogCheck,
    TrialCheck,
)

__all__ = ["CATALOG_CHECKS", "RULES", "TRIAL_CHECKS", "CatalogCheck", "TrialCheck"]
