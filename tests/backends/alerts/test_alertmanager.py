"""A real Alertmanager and those who post to it: one alert, however many see it, and one end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from alert_programs import (
    Webhook,
    endpoint_of,
    eventually,
    fan_out,
    running_bot,
    running_gateway,
    status_of,
    write_rules,
)

from scripts.alertmanager import Alertmanager
from tickspan.alerts.notice import fingerprint_of

pytestmark = pytest.mark.backends


def rules_at(folder: Path, url: str, stat: str = "p50") -> Path:
    return write_rules(folder, f'urls: ["{url}"]', stat=stat)


def names_of(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["labels"]["alertname"] for alert in alerts]


def test_an_alert_that_a_process_an_agent_and_two_gateways_see_is_one_alert(
    paging: Alertmanager, webhook: Webhook, tmp_path: Path
):
    rules = rules_at(tmp_path, paging.url)
    with (
        running_gateway(rules, tmp_path / "one") as one,
        running_gateway(rules, tmp_path / "two") as two,
        fan_out(endpoint_of(one), endpoint_of(two)) as endpoint,
        running_bot(tmp_path, rules, endpoint, TICKSPAN_ALERTS_TIERS="process,agent,gateway") as bot,
    ):
        time.sleep(3.0)  # the windows of all evaluators hold what is usual
        bot.say("slow")
        slow_at_s = time.time()
        eventually(lambda: bool(webhook.posts), what="a page")
        for gateway in (one, two):
            gateway.wait_for(" firing SlowVenue")
        told = paging.alerts()
        assert names_of(told) == ["SlowVenue"]
        labels = told[0]["labels"]
        assert fingerprint_of(tuple(sorted(labels.items()))) == told[0]["fingerprint"]
        assert (labels["job"], labels["trading_venue_name"]) == ("bot", "binance")
        bot.say("fast")
        for gateway in (one, two):
            gateway.wait_for(" inactive SlowVenue")
        eventually(lambda: len(webhook.posts) > 1, what="the end")
        time.sleep(5.0)  # nothing comes after the end
        for folder in ("one", "two", "spool"):  # all three have told the Alertmanager
            (channel,) = status_of(tmp_path / folder)["delivery"]["channels"]
            assert (channel["sent"] > 0, channel["trouble"]) == (True, "")
        assert webhook.statuses() == [("firing", "SlowVenue"), ("resolved", "SlowVenue")]
        assert paging.alerts() == []
        assert webhook.posts[0][0] - slow_at_s < 10.0


def test_the_agent_tells_an_alertmanager_within_two_seconds(
    paging: Alertmanager, webhook: Webhook, tmp_path: Path
):
    rules = rules_at(tmp_path, paging.url, stat="p99")
    with fan_out() as endpoint, running_bot(tmp_path, rules, endpoint) as bot:
        time.sleep(3.0)
        bot.say("slow")
        slow_at_s = time.time()
        eventually(lambda: bool(webhook.posts), what="a page")
        assert webhook.posts[0][0] - slow_at_s <= 2.0
        assert webhook.statuses() == [("firing", "SlowVenue")]


def test_alerts_of_a_killed_process_end_and_its_death_is_told(
    paging: Alertmanager, webhook: Webhook, tmp_path: Path
):
    rules = rules_at(tmp_path, paging.url)
    with fan_out() as endpoint, running_bot(tmp_path, rules, endpoint) as bot:
        bot.say("slow")
        eventually(lambda: bool(webhook.posts), what="a page")
        bot.process.kill()
        eventually(lambda: len(webhook.posts) == 3, what="the end and the death")
        assert sorted(webhook.statuses()) == [
            ("firing", "ProcessDied"),
            ("firing", "SlowVenue"),
            ("resolved", "SlowVenue"),
        ]
        ends = [one for _, body in webhook.posts for one in body["alerts"] if one["status"] == "resolved"]
        assert [one["annotations"]["reason"] for one in ends] == ["gone"]
