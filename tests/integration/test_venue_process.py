"""The simulated venue as a process of its own, and its pytest fixture, as a stranger uses them."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tickspan.testing.venue import Connect, Status, VenueSimulator, fetch_truth

pytestmark = pytest.mark.integration

DEADLINE_S = 30
COMMAND = [sys.executable, "-m", "tickspan.testing.venue"]


@contextmanager
def running(*flags: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A venue's process and the first line it prints."""
    process = subprocess.Popen(
        [*COMMAND, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def run(*flags: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of a venue that is expected to end by itself."""
    done = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return done.returncode, done.stdout, done.stderr


def order(connect: Connect) -> Any:
    exchange: Any = connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    try:
        return exchange.create_order("BTC/USDT", "market", "buy", 0.01)
    finally:
        exchange.session.close()


def test_a_venue_in_another_process_tells_its_address_and_then_its_truth():
    with running(
        "--json", "--seed", "3", "--partials", "0.4,0.6", "--fill-delay-s", "0", "--fill-gap-s", "0"
    ) as (
        _,
        line,
    ):
        ready = json.loads(line)
        placed = order(Connect(ready["url"], ready["api_key"], ready["secret"]))
        truth = fetch_truth(ready["url"])

    assert ready["seed"] == 3
    assert [(held.client_id, held.status) for held in truth.orders] == [
        (placed["clientOrderId"], Status.FILLED)
    ]
    assert [fill.quantity for fill in truth.executions] == [Decimal("0.004"), Decimal("0.006")]
    assert truth.requests[-1].path == "/api/v3/order"
    assert (truth.unimplemented, truth.requests_dropped) == ((), 0)


def test_the_truth_is_the_same_by_http_as_in_the_process():
    with VenueSimulator() as venue:
        order(venue.connect)
        assert fetch_truth(venue.url) == venue.truth()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_with_status_0_and_without_a_word(number: signal.Signals):
    with running() as (process, line):
        process.send_signal(number)
        rest, errors = process.communicate(timeout=DEADLINE_S)

    assert line.startswith("venue ready at http://127.0.0.1:")
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_fault_can_be_armed_from_another_process():
    with VenueSimulator() as venue:
        _post(f"{venue.url}/_venue/fault?name=reject")
        with pytest.raises(ccxt.InvalidOrder, match="-2010"):
            order(venue.connect)


def test_an_unknown_fault_is_refused_with_all_that_are_known():
    with VenueSimulator() as venue, pytest.raises(urllib.error.HTTPError) as refused:
        _post(f"{venue.url}/_venue/fault?name=rejct")
    with closing(refused.value) as answer:
        told = json.loads(answer.read())["error"]

    assert (refused.value.status, told[:46]) == (400, "fault: expected one of rate_limit_429, ban_418")
    assert told.endswith("got 'rejct'")


def test_asking_for_the_truth_is_no_request_to_the_venue():
    with VenueSimulator() as venue:
        fetch_truth(venue.url)
        assert venue.requests == ()


def _post(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5).close()


def test_a_wrong_flag_is_one_clear_line_and_status_2():
    told = "python -m tickspan.testing.venue: unrecognized arguments: --bogus\n"
    assert run("--bogus") == (2, "", told)


def test_a_busy_port_is_one_clear_line_and_status_2():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        told = run("--port", str(port))

    words = f"port {port} on 127.0.0.1: Address already in use; give another --port, or 0 for any free one"
    assert told == (2, "", f"python -m tickspan.testing.venue: {words}\n")


def test_the_help_explains_every_knob_and_fault():
    status, text, _ = run("--help")
    assert status == 0
    assert "accept_then_504    the order lives, the answer is HTTP 504, status unknown" in text
    assert "--clock-skew-s" in text


def test_the_pytest_fixture_gives_each_test_a_running_venue(tmp_path: Path):
    test = tmp_path / "test_bot.py"
    test.write_text(
        "import pytest\n"
        "from tickspan.testing.venue import Behaviour\n"
        "def test_usual(venue):\n"
        "    assert venue.url.startswith('http://127.0.0.1:') and venue.orders == ()\n"
        "@pytest.mark.parametrize('venue', [Behaviour(mute_s=7)], indirect=True)\n"
        "def test_shaped(venue):\n"
        "    assert venue.behaviour.mute_s == 7\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", str(test)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in done.stdout
