"""From what evaluators say to what notifiers are told: at least once, at a pace, with silences."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.channel import Backoff, Channel, ChannelStatistics
from tickspan.alerts.notifiers.delivery import Delivery
from tickspan.alerts.notifiers.making import Made, make
from tickspan.alerts.notifiers.notifier import Fate, Verdict
from tickspan.alerts.notifiers.queue import MOST_WAITING, Queue
from tickspan.alerts.silences import FILE, Silences, parse_matchers
from tickspan.analysis.rules.ruleset import NotifierSettings
from tickspan.analysis.rules.tiers import Tier

NoticeMaker = Callable[..., Notice]
HttpServer = Any
TAKEN = Verdict(Fate.TAKEN)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Told:
    """A notifier that keeps what it is sent, and answers as it is told to."""

    per_minute: ClassVar[int] = 20

    def __init__(self, *verdicts: Verdict) -> None:
        self.messages: list[list[str]] = []
        self._verdicts = list(verdicts)

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        self.messages.append(
            [f"{notice.state} {dict(notice.labels)['trading_venue_name']}" for notice in notices]
        )
        return self._verdicts.pop(0) if self._verdicts else TAKEN


class ToldOnceAMinute(Told):
    per_minute: ClassVar[int] = 1


@pytest.fixture
def queue() -> Iterator[Queue]:
    made = Queue(None)
    yield made
    made.close()


def channel(
    notifier: Told,
    queue: Queue,
    clock: Clock,
    *,
    is_folding: bool = False,
    silenced: Callable[[Notice], bool] = lambda _: False,
    firing: Callable[[], list[Notice]] = list,
) -> Channel:
    made = Made("pager", notifier, is_folding=is_folding, name="pager")
    return Channel(made, queue, silenced, firing, clock, clock, Random(1))


def run(one: Channel, clock: Clock, seconds: float) -> None:
    """Let a channel work for a while of its clock's time."""
    ends_at_s = clock.now_s + seconds
    while clock.now_s < ends_at_s:
        clock.now_s += max(0.001, min(one.step(), ends_at_s - clock.now_s))


def test_twenty_messages_a_minute_and_the_last_of_them_holds_the_rest(queue: Queue, notice: NoticeMaker):
    told, clock = Told(), Clock()
    for number in range(30):
        queue.put("pager", notice(f"v{number}"))
    one = channel(told, queue, clock)
    run(one, clock, 10)
    assert [len(message) for message in told.messages] == [*[1] * 19, 11]
    queue.put("pager", notice("late"))
    run(one, clock, 45)
    assert len(told.messages) == 20
    run(one, clock, 10)
    assert told.messages[20] == ["firing late"]


def test_a_notifier_of_one_message_a_minute_folds_what_came_meanwhile(queue: Queue, notice: NoticeMaker):
    told, clock = ToldOnceAMinute(), Clock()
    one = channel(told, queue, clock)
    queue.put("pager", notice("a"))
    run(one, clock, 1)
    queue.put("pager", notice("b"))
    queue.put("pager", notice("c"))
    run(one, clock, 58)
    assert told.messages == [["firing a"]]
    run(one, clock, 2)
    assert told.messages == [["firing a"], ["firing b", "firing c"]]


def test_what_was_not_taken_is_tried_again_until_it_is(queue: Queue, notice: NoticeMaker):
    later = Verdict(Fate.LATER, "answered 503")
    told, clock = Told(*[later] * 12), Clock()
    queue.put("pager", notice())
    one = channel(told, queue, clock)
    run(one, clock, 3)
    assert one.statistics() == ChannelStatistics("pager", trouble="answered 503")
    run(one, clock, 7200)
    assert told.messages == [["firing binance"]] * 13
    assert (one.statistics(), queue.size()) == (ChannelStatistics("pager", sent=1), 0)


def test_waiting_doubles_up_to_a_quarter_of_an_hour():
    backoff = Backoff(Random(7))
    waits = [backoff.after_failure(0.0, 900.0) for _ in range(14)]
    bounds = [min(900.0, 2.0**number) for number in range(14)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert backoff.after_failure(5000.0, 900.0) == 900.0


def test_what_is_refused_for_good_is_counted_and_holds_up_nothing(queue: Queue, notice: NoticeMaker):
    told, clock = Told(Verdict(Fate.REFUSED, "answered 404")), Clock()
    queue.put("pager", notice("a"))
    queue.put("pager", notice("b"))
    one = channel(told, queue, clock)
    run(one, clock, 1)
    assert told.messages == [["firing a"], ["firing b"]]
    assert one.statistics() == ChannelStatistics("pager", sent=1, dropped=1)


def test_an_alertmanager_is_told_at_once_and_then_every_fifteen_seconds(queue: Queue, notice: NoticeMaker):
    told, clock = Told(), Clock()
    firing = [notice()]
    one = channel(told, queue, clock, is_folding=True, firing=lambda: firing)
    queue.put("pager", firing[0])
    run(one, clock, 44)
    assert told.messages == [["firing binance"]] * 3
    firing.clear()
    queue.put("pager", notice().resolved(clock.now_s, ""))
    run(one, clock, 60)
    assert told.messages[3:] == [["resolved binance"]]


def test_what_is_silenced_waits_and_is_told_when_the_silence_ends(queue: Queue, notice: NoticeMaker):
    told, clock = Told(), Clock()
    quiet = [True]
    one = channel(told, queue, clock, silenced=lambda _: quiet[0])
    queue.put("pager", notice())
    run(one, clock, 30)
    assert told.messages == []
    quiet[0] = False
    run(one, clock, 6)
    assert told.messages == [["firing binance"]]


def test_what_began_and_ended_in_silence_is_never_told(queue: Queue, notice: NoticeMaker):
    told, clock = Told(), Clock()
    quiet = [True]
    one = channel(told, queue, clock, silenced=lambda _: quiet[0])
    queue.put("pager", notice())
    queue.put("pager", notice().resolved(clock.now_s, ""))
    run(one, clock, 10)
    quiet[0] = False
    run(one, clock, 60)
    assert (told.messages, queue.size()) == ([], 0)


def test_the_queue_holds_a_thousand_and_counts_what_it_gives_up(queue: Queue, notice: NoticeMaker):
    for number in range(MOST_WAITING + 5):
        queue.put("pager", notice(f"v{number}"))
    oldest = dict(queue.waiting("pager", 1)[0].notice.labels)["trading_venue_name"]
    assert (queue.size(), queue.dropped, oldest) == (1000, 5, "v5")


def test_a_notice_that_waits_or_was_told_is_not_queued_again(queue: Queue, notice: NoticeMaker):
    first, again = notice(), notice(value=0.5)
    assert [queue.put("pager", first), queue.put("pager", again)] == [True, False]
    queue.settle("pager", queue.waiting("pager", 10), 0.0)
    ended = first.resolved(1_700_000_100.0, "")
    assert [queue.put("pager", one) for one in (again, ended)] == [False, True]
    queue.settle("pager", queue.waiting("pager", 10), 0.0)
    newer = notice(starts_at_s=1_700_000_200.0)
    assert [queue.put("pager", one) for one in (first, ended, newer)] == [False, False, True]


def test_the_queue_survives_in_its_file(tmp_path: Path, notice: NoticeMaker):
    before = Queue(tmp_path / "queue.sqlite3")
    before.put("pager", notice())
    before.close()
    after = Queue(tmp_path / "queue.sqlite3")
    assert [one.notice for one in after.waiting("pager", 10)] == [notice()]
    after.close()


def test_a_file_that_is_no_queue_costs_durability_only(tmp_path: Path, notice: NoticeMaker, capsys: Any):
    (tmp_path / "queue.sqlite3").write_bytes(b"no database, no database, no database" * 99)
    queue = Queue(tmp_path / "queue.sqlite3")
    assert (queue.put("pager", notice()), queue.size()) == (True, 1)
    assert "notices wait in memory" in capsys.readouterr().err
    queue.close()


def settings(url: str) -> dict[str, NotifierSettings]:
    return {"hook": NotifierSettings("hook", "webhook", {"url": url})}


def eventually(claim: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def test_nothing_is_lost_when_the_process_ends_during_an_outage(
    tmp_path: Path, http_server: Any, notice: NoticeMaker
):
    http_server.answer_with(503)
    first = Delivery(settings(http_server.url), tmp_path, {})
    first.tell([notice("a"), notice("b")])
    eventually(lambda: len(http_server.requests) > 0)
    assert first.close()
    http_server.requests.clear()
    http_server.answer_with(200)
    second = Delivery(settings(http_server.url), tmp_path, {})
    second.tell([notice("a"), notice("a").resolved(1_700_000_900.0, "")])
    eventually(lambda: second.statistics().waiting == 0)
    told = [json.loads(request.body)["alerts"] for request in http_server.requests]
    names = [(one["status"], one["labels"]["trading_venue_name"]) for alerts in told for one in alerts]
    assert names == [("firing", "a"), ("firing", "b"), ("resolved", "a")]
    assert second.close()


def test_rules_tell_the_notifiers_that_they_name(tmp_path: Path, http_server: Any, notice: NoticeMaker):
    two = {
        "hook": NotifierSettings("hook", "webhook", {"url": f"{http_server.url}/hook"}),
        "other": NotifierSettings("other", "webhook", {"url": f"{http_server.url}/other"}),
    }
    delivery = Delivery(two, tmp_path, {})
    delivery.tell([notice("a", notify=("other",)), notice("b", notify=("other", "hook"))])
    eventually(lambda: len(http_server.requests) == 3)
    assert sorted(request.path for request in http_server.requests) == ["/hook", "/other", "/other"]
    assert delivery.close()


def test_a_silence_holds_notices_back_and_never_the_log_line(
    tmp_path: Path, http_server: Any, notice: NoticeMaker
):
    Silences(tmp_path / FILE, time.time).add(
        parse_matchers('trading_venue_name=~"bin.*"'), time.time() + 60, "maintenance"
    )
    lines: list[str] = []
    delivery = Delivery(
        settings(http_server.url), tmp_path, {}, on_word=lambda one: lines.append(str(one.labels[-1][1]))
    )
    delivery.tell([notice("binance"), notice("okx")])
    eventually(lambda: len(http_server.requests) == 1)
    assert lines == ["binance", "okx"]
    assert b"okx" in http_server.requests[0].body
    eventually(lambda: delivery.statistics().waiting == 1)
    assert delivery.close()


def test_a_notifier_that_cannot_be_used_is_left_out_and_the_others_go_on(
    tmp_path: Path, http_server: Any, notice: NoticeMaker, capsys: Any
):
    broken = NotifierSettings("chat", "slack", {"url": "https://hooks.example/hush"})
    delivery = Delivery({"chat": broken, **settings(http_server.url)}, tmp_path, {})
    delivery.tell([notice()])
    eventually(lambda: len(http_server.requests) == 1)
    told = capsys.readouterr().err
    assert ("notifier 'chat' is left out: url: expected url_file" in told, "hush" in told) == (True, False)
    assert delivery.close()


def test_a_slow_notifier_delays_no_other(tmp_path: Path, http_server: Any, notice: NoticeMaker):
    def answer(request: Any) -> tuple[int, dict[str, str]]:
        if request.path == "/slow":
            time.sleep(1.0)
        return 200, {}

    http_server.answer = answer
    two = {
        name: NotifierSettings(name, "webhook", {"url": f"{http_server.url}/{name}"})
        for name in ("slow", "quick")
    }
    delivery = Delivery(two, tmp_path, {})
    began_s = time.monotonic()
    delivery.tell([notice("a"), notice("b"), notice("c")])
    assert time.monotonic() - began_s < 0.5
    eventually(lambda: sum(request.path == "/quick" for request in http_server.requests) == 3, 0.9)
    delivery.close(5.0)


def names_in(server: HttpServer) -> list[list[str]]:
    return [
        [alert["labels"]["trading_venue_name"] for alert in json.loads(request.body)]
        for request in server.requests
    ]


@pytest.mark.parametrize(
    ("page", "repeated"),
    [
        ("theirs is gone", [["mine", "theirs"], ["mine"], ["mine"]]),
        ("both stand", [["mine", "theirs"]] * 3),
        ("no JSON", [["mine", "theirs"]] * 3),
    ],
)
def test_what_its_owner_has_ended_at_an_alertmanager_is_not_repeated(
    queue: Queue, notice: NoticeMaker, http_server: HttpServer, page: str, repeated: list[list[str]]
):
    mine = replace(notice("mine"), evaluator=Tier.GATEWAY, owner=Tier.GATEWAY)
    theirs = replace(notice("theirs"), evaluator=Tier.GATEWAY, owner=Tier.PROMETHEUS)
    stands = {"theirs is gone": [mine], "both stand": [mine, theirs]}.get(page, [])
    http_server.page = json.dumps([{"fingerprint": one.fingerprint} for one in stands]).encode()
    if page == "no JSON":
        http_server.page = b"<html>"
    made = next(iter(make(NotifierSettings("pager", "alertmanager", {"urls": [http_server.url]}), {})))
    clock = Clock()
    one = Channel(made, queue, lambda _: False, lambda: [mine, theirs], clock, clock, Random(1))
    run(one, clock, 31)
    assert names_in(http_server) == repeated


def test_what_nobody_could_repeat_for_a_minute_is_repeated_though_it_is_gone(
    queue: Queue, notice: NoticeMaker, http_server: HttpServer
):
    theirs = replace(notice("theirs"), evaluator=Tier.GATEWAY, owner=Tier.PROMETHEUS)
    made = next(iter(make(NotifierSettings("pager", "alertmanager", {"urls": [http_server.url]}), {})))
    clock = Clock()
    one = Channel(made, queue, lambda _: False, lambda: [theirs], clock, clock, Random(1))
    one.step()
    clock.now_s += 61
    one.step()
    assert names_in(http_server) == [["theirs"]] * 2
