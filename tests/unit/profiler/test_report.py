"""What a report says of a profile."""

from __future__ import annotations

from tickspan.analysis.profiles import Profile
from tickspan.profiler.report import OwnCost, report_of


def test_the_report_says_of_which_traces_there_are_no_samples(profile: Profile):
    report = report_of(profile, refused={"short": 1_200, "often": 2})
    assert report.own_cost == OwnCost(0.005, 0.0025, 4, short=1_200, unseen=0, often=2)
    assert [line for line in report.text().splitlines() if "traces" in line] == [
        "1,200 slow or failed traces were too short to have samples",
        "2 slow or failed traces were not kept: there were more than six in a minute",
    ]


def test_where_none_was_refused_nothing_is_said(profile: Profile):
    assert "traces" not in report_of(profile).text()
