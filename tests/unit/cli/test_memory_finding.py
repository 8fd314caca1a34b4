"""What the doctor says of plans for the garbage collector."""

from __future__ import annotations

import pytest

from tickspan.cli.finding import Finding
from tickspan.cli.memory_finding import memory_findings
from tickspan.config import MemoryPlan, MemorySettings

_OTHER = "Python 3.14.0 to 3.14.4 collect incrementally: thresholds mean something else there"


@pytest.mark.parametrize(
    ("version", "plan", "findings"),
    [
        ((3, 11, 7), MemoryPlan.NONE, []),
        ((3, 13, 9), MemoryPlan.HFT, [(True, "the plan 'hft' is applied 30 s after the start")]),
        ((3, 14, 2), MemoryPlan.NONE, [(None, f"plans of the collector change nothing: {_OTHER}")]),
        ((3, 14, 4), MemoryPlan.DATASETS, [(False, f"memory.optimize=datasets changes nothing: {_OTHER}")]),
        ((3, 14, 5), MemoryPlan.NONE, []),
    ],
)
def test_a_plan_that_changes_nothing_is_told(
    version: tuple[int, int, int], plan: MemoryPlan, findings: list[tuple[bool | None, str]]
) -> None:
    found = list(memory_findings(MemorySettings(optimize=plan), version))
    assert found == [Finding("memory", is_well, detail) for is_well, detail in findings]
