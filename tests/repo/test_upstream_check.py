"""What `make check-upstream` calls a regression."""

from __future__ import annotations

from scripts.check_upstream import EXCLUDED, regressions


def test_a_test_that_passes_with_stock_classes_must_pass_with_ours() -> None:
    stock = {"good": "passed", "broken": "passed", "gone": "passed", "bad anyway": "failed", "off": "skipped"}
    ours = {"good": "passed", "broken": "failed", "bad anyway": "failed", "new": "failed"}
    assert regressions(stock, ours) == ["broken", "gone"]


def test_every_exclusion_has_its_reason() -> None:
    assert [test for test, reason in EXCLUDED.items() if not reason.strip()] == []
