"""Who sees an alert, who ends it, and what is told of that."""

from __future__ import annotations

from dataclasses import replace

from tickspan.alerts.notice import Notice, NoticeState
from tickspan.alerts.roster import Roster, Word
from tickspan.analysis.rules.tiers import Tier

PROCESS, AGENT, GATEWAY, PROMETHEUS = Tier.PROCESS, Tier.AGENT, Tier.GATEWAY, Tier.PROMETHEUS
LABELS = (("alertname", "SlowVenue"), ("job", "bot"))


def fires(by: Tier, owner: Tier = AGENT, speaker: Tier | None = None, at_s: float = 100.0) -> Notice:
    return Notice(
        "SlowVenue",
        LABELS,
        NoticeState.FIRING,
        at_s,
        value=0.25,
        threshold=0.1,
        evaluator=by,
        owner=owner,
        speaker=speaker or owner,
        process="p" if by is PROCESS else "",
    )


def ends(by: Tier, owner: Tier = AGENT, speaker: Tier | None = None) -> Notice:
    return fires(by, owner, speaker).resolved(200.0, "")


def test_an_alert_is_told_when_the_first_evaluator_sees_it():
    roster, first = Roster(), fires(PROCESS)
    assert [roster.take(one, 100.0) for one in (first, fires(AGENT, at_s=101.0))] == [Word(first), None]
    assert [one.starts_at_s for one in roster.firing()] == [100.0]


def test_only_the_owner_ends_it():
    roster = Roster()
    for one in (fires(PROCESS), fires(AGENT)):
        roster.take(one, 100.0)
    assert roster.take(ends(PROCESS), 150.0) is None
    assert len(roster.firing()) == 1
    ended = ends(AGENT)
    assert roster.take(ended, 200.0) == Word(ended)
    assert roster.firing() == []


def test_what_nobody_repeats_ends_by_itself_and_people_without_an_alertmanager_are_told():
    roster, first = Roster(), fires(PROCESS)
    roster.take(first, 100.0)
    roster.take(ends(PROCESS), 150.0)
    assert roster.firing() == []
    assert roster.lapse(209.0) == []
    assert roster.lapse(210.0) == [Word(first.resolved(210.0, "expired"), is_for_folding=False)]


def test_where_a_gateway_owns_an_alert_the_agent_tells_it_to_an_alertmanager_only():
    roster, first = Roster(), fires(AGENT, GATEWAY)
    assert roster.take(first, 100.0) == Word(first, is_for_others=False)
    assert roster.take(ends(AGENT, GATEWAY), 200.0) is None
    assert roster.lapse(260.0) == [
        Word(first.resolved(260.0, "expired"), is_for_folding=False, is_for_others=False)
    ]


def test_where_prometheus_owns_an_alert_the_agent_ends_it_for_those_who_do_not_fold():
    roster, first = Roster(), fires(AGENT, PROMETHEUS, AGENT)
    ended = ends(AGENT, PROMETHEUS, AGENT)
    assert roster.take(first, 100.0) == Word(first)
    assert roster.take(ended, 200.0) == Word(ended, is_for_folding=False)
    assert roster.firing() == []


def test_an_end_of_what_was_never_told_is_not_told():
    assert Roster().take(ends(AGENT), 200.0) is None


def test_the_end_is_that_of_the_alert_that_was_told():
    roster = Roster()
    roster.take(fires(PROCESS, at_s=99.0), 100.0)
    word = roster.take(replace(ends(AGENT), starts_at_s=101.0), 200.0)
    assert word is not None
    assert word.notice.starts_at_s == 99.0


def test_what_stood_before_a_restart_is_not_told_again_and_lapses_when_nobody_says_it_again():
    before = Roster()
    before.take(fires(AGENT), 100.0)
    bodies = [standing.to_json() for standing in before.standing.values()]
    after = Roster()
    after.restore([*bodies, "{", "[1]"], 300.0, 600.0)
    assert after.firing() == []
    assert after.take(fires(AGENT, at_s=100.0), 310.0) is None
    assert len(after.firing()) == 1
    silent = Roster()
    silent.restore(bodies, 300.0, 600.0)
    assert [word.notice.reason for word in silent.lapse(900.0)] == ["expired"]
