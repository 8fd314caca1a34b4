"""What a desk is fed with: bots with an endpoint, without one, dead ones, and desks that come and go."""

import signal

import pytest
from tickspan_spool import agent
from tickspan_spool.ledger import Ledger
from tickspan_spool.receiver import Receiver
from tickspan_spool.viewers import viewers

from .conftest import Place, wait

pytestmark = pytest.mark.integration


def test_a_bot_without_an_endpoint_is_seen_and_what_it_recorded_before_too(place: Place):
    with place.bot("early", 40), place.desk() as desk:
        wait(lambda: desk.spans("early") == 40)
        with place.bot("late", 3):
            wait(lambda: desk.spans("late") == 3)
        assert desk.spans("early") == 40


def test_a_bot_that_was_killed_before_the_desk_came_is_seen_once(place: Place):
    with place.bot("dead", 500) as bot:
        bot.kill()
    with place.desk() as desk:
        wait(lambda: desk.spans("dead") == 500)
        wait(lambda: [one for one in agent.status(place.spool).processes if not one.is_agent] == [])
        assert desk.spans("dead") == 500


def test_a_bot_with_an_endpoint_delivers_as_before_and_is_seen(place: Place):
    records: list[int] = []
    with (
        Receiver(
            lambda batch: records.append(batch.records) if batch.signal == "traces" else None
        ) as collector,
        place.desk() as desk,
    ):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with place.bot("both", 100, **settings):
            wait(lambda: desk.spans("both") == 100)
        wait(lambda: [one for one in agent.status(place.spool).processes if not one.is_agent] == [])
        assert (sum(records), agent.status(place.spool).signals["traces"]) == (100, Ledger(100, 100))


def test_a_bot_that_sends_to_the_desk_itself_is_seen_once(place: Place):
    with place.desk() as desk:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": desk.told["otlp"]}
        with place.bot("twice", 50, **settings):
            wait(lambda: desk.spans("twice") >= 50)
        wait(lambda: [one for one in agent.status(place.spool).processes if not one.is_agent] == [])
        assert desk.spans("twice") == 50


def test_a_desk_that_was_killed_comes_again_with_all_and_no_doubles(place: Place):
    with place.bot("first", 200):
        with place.desk() as desk:
            wait(lambda: desk.spans("first") == 200)
            desk.end(signal.SIGKILL)
        with place.bot("second", 20), place.desk() as again:
            wait(lambda: again.spans("second") == 20)
            assert (again.spans("first"), len(viewers(place.spool))) == (200, 1)


def test_two_desks_see_the_same(place: Place):
    with place.bot("shared", 30), place.desk() as one, place.desk("--memory") as other:
        wait(lambda: one.spans("shared") == 30 and other.spans("shared") == 30)
        assert len(viewers(place.spool)) == 2


def test_the_agents_own_metrics_are_seen(place: Place):
    with place.bot("counted", 5), place.desk() as desk:
        wait(lambda: b"tickspan.ledger.records" in str(desk.ask("/api/metrics")).encode())
