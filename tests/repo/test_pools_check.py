"""What `make check-pools` calls a regression."""

from __future__ import annotations

from scripts import check_pools


def test_a_test_that_passed_and_does_not_pass_where_pools_are_governed_is_one() -> None:
    stock = {
        "kept": "passed",
        "lost": "passed",
        "gone": "passed",
        "broken here": "failed",
        "asks more": "skipped",
    }
    ours = {"kept": "passed", "lost": "failed", "broken here": "failed", "asks more": "skipped"}
    assert check_pools.regressions(stock, ours) == ["lost", "gone"]
