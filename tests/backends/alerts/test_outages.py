"""What no outage and no kill -9 loses: notices of the gateway and of the agent."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from alert_programs import (
    Webhook,
    durations,
    endpoint_of,
    eventually,
    fan_out,
    running_bot,
    running_gateway,
    send,
    status_of,
    write_rules,
)

pytestmark = pytest.mark.backends


def test_a_slow_venue_fires_within_three_seconds_of_its_arrival(webhook: Webhook, tmp_path: Path):
    rules = write_rules(tmp_path, f'url: "{webhook.url}"', "webhook")
    with running_gateway(rules, tmp_path / "storage") as gateway:
        endpoint, start_s = endpoint_of(gateway), time.time() - 60
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 0)) == 200
        time.sleep(0.5)
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 20)) == 200
        arrived_s = time.time()
        eventually(lambda: bool(webhook.posts), what="a message")
        assert webhook.posts[0][0] - arrived_s <= 3.0
    assert gateway.process.returncode == 0
    assert "ended: 2 points and 0 events of 1 series; 1 notices sent, 0 wait" in gateway.lines[-1]


def test_a_killed_gateway_loses_nothing_that_it_had_accepted(webhook: Webhook, tmp_path: Path):
    rules = write_rules(tmp_path, f'url: "{webhook.url}"', "webhook")
    with running_gateway(rules, tmp_path / "storage") as gateway:
        endpoint, start_s = endpoint_of(gateway), time.time() - 60
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 0)) == 200
        time.sleep(4.0)
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 20)) == 200
        gateway.process.kill()
        gateway.process.wait()
    assert webhook.posts == []
    with running_gateway(rules, tmp_path / "storage"):
        eventually(lambda: len(webhook.posts) == 2, what="begin and end")
    assert webhook.statuses() == [("firing", "SlowVenue"), ("resolved", "SlowVenue")]


def test_notices_of_an_outage_are_told_by_the_next_gateway(webhook: Webhook, tmp_path: Path):
    rules = write_rules(tmp_path, f'url: "{webhook.url}"', "webhook")
    webhook.status = 503
    with running_gateway(rules, tmp_path / "storage") as gateway:
        endpoint, start_s = endpoint_of(gateway), time.time() - 60
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 0)) == 200
        time.sleep(0.5)
        assert send(endpoint, "metrics", durations(start_s, time.time(), 10, 20)) == 200
        gateway.wait_for(" firing SlowVenue")
        gateway.wait_for("answered 503")
        gateway.process.kill()
        gateway.process.wait()
    webhook.status = 200
    with running_gateway(rules, tmp_path / "storage"):
        eventually(lambda: len(webhook.posts) == 2, what="begin and end")
    assert webhook.statuses() == [("firing", "SlowVenue"), ("resolved", "SlowVenue")]


def test_a_killed_agent_loses_no_notice(webhook: Webhook, tmp_path: Path):
    rules = write_rules(tmp_path, f'url: "{webhook.url}"', "webhook", stat="p99")
    webhook.status = 503
    with fan_out() as endpoint, running_bot(tmp_path, rules, endpoint) as bot:
        time.sleep(2.0)
        bot.say("slow")
        spool = tmp_path / "spool"
        eventually(
            lambda: status_of(spool).get("delivery", {}).get("waiting") == 1, what="a notice that waits"
        )
        os.kill(int(status_of(spool)["pid"]), signal.SIGKILL)
        webhook.status = 200
        eventually(lambda: bool(webhook.posts), 60, what="a message of the next agent")
        bot.say("fast")
        eventually(lambda: len(webhook.posts) == 2, 60, what="the end")
        assert webhook.statuses() == [("firing", "SlowVenue"), ("resolved", "SlowVenue")]
