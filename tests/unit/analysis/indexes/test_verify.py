"""An index is judged by latencies, not by costs."""

from __future__ import annotations

import pytest

from tickspan.analysis.findings import Severity
from tickspan.analysis.indexes.trial import MIN_SAMPLES
from tickspan.analysis.indexes.verify import trial_of, verify
from tickspan.analysis.traces.latencies import Latencies


def _latencies(*spans: tuple[int, float]) -> Latencies:
    made = Latencies()
    for count, milliseconds in spans:
        for _ in range(count):
            made.add(int(milliseconds * 1e6))
    return made


def _verdict(**sides: tuple[Latencies, Latencies]) -> list[str]:
    return [finding.rule for finding in verify(trial_of("ix_orders", sides))]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([(100, 40.0)], [(100, 4.0)], ["index_verified"]),
        ([(100, 40.0)], [(100, 35.0)], ["index_verified"]),
        ([(100, 40.0)], [(100, 39.0)], ["index_ineffective"]),
        ([(100, 49.5)], [(100, 60.4)], ["index_ineffective"]),
        ([(100, 210.0)], [(100, 218.0)], ["index_ineffective"]),
        ([(90, 40.0), (10, 50.0)], [(90, 20.0), (10, 500.0)], ["index_ineffective"]),
        ([(MIN_SAMPLES - 1, 40.0)], [(100, 4.0)], []),
        ([(100, 40.0)], [(MIN_SAMPLES - 1, 4.0)], []),
        ([(MIN_SAMPLES, 40.0)], [(MIN_SAMPLES, 4.0)], ["index_verified"]),
    ],
)
def test_a_statement_decides_by_its_median_and_its_tail(
    before: list[tuple[int, float]], after: list[tuple[int, float]], verdict: list[str]
):
    assert _verdict(f=(_latencies(*before), _latencies(*after))) == verdict


def test_one_statement_that_became_slower_outweighs_one_that_became_faster():
    faster, slower = (
        (_latencies((50, 40.0)), _latencies((50, 4.0))),
        (_latencies((50, 4.0)), _latencies((50, 6.0))),
    )
    trial = trial_of("ix", {"a": faster, "b": slower}, labels={"b": "SELECT b"}, rollback="DROP INDEX ix;")
    (finding,) = verify(trial)
    assert (finding.rule, finding.severity, finding.advice) == (
        "index_ineffective",
        Severity.WARNING,
        "DROP INDEX ix;",
    )
    assert "SELECT b became slower" in finding.message


def test_statements_with_few_samples_are_named_and_do_not_decide():
    trial = trial_of("ix", {"a": (_latencies((50, 40.0)), _latencies((2, 4.0)))}, labels={"a": "SELECT a"})
    assert (trial.too_few, trial.is_undecided, verify(trial)) == (("SELECT a",), True, ())
