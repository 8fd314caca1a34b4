"""Over hundreds of spans: each that something held up says so, and no other does."""

from __future__ import annotations

import pytest

from benchmarks.runtime.held import KINDS, Attribution, measured

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kind", KINDS)
def test_each_span_that_was_held_up_says_by_how_much_and_no_other_does(kind: str) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    found = measured(kind, 320)
    assert found == Attribution(320, found.paused, found.blocked, missing=0, wrong=0)
    assert found.paused >= 20
    assert found.blocked >= 20 or kind == "threads"
