"""What holds a real program up is found, by the right kind, at the right place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tickspan_spool

import tickspan
from tickspan.analysis.bottlenecks import Finding, bottlenecks
from tickspan.analysis.profiles import Profile
from tickspan.analysis.regression import compared

pytestmark = pytest.mark.integration

Ended = subprocess.CompletedProcess[str]
SOURCES = os.pathsep.join(str(Path(str(one.__file__)).parents[1]) for one in (tickspan, tickspan_spool))
SECONDS = "\nimport time\nend = time.monotonic() + 2\n"
THREADS = """
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
GIL = f"""
import threading
{SECONDS}
def work():
    total = 0
    while time.monotonic() < end:
        for place in range(500):
            total += place * place
{THREADS}
"""
LOCK = f"""
import threading
{SECONDS}
book = threading.Lock()
def work():
    while time.monotonic() < end:
        with book:
            time.sleep(0.004)
{THREADS}
"""
LOOP = """
async def strategy():
    while time.monotonic() < end:
        blocks()
        await asyncio.sleep(0.005)

asyncio.run(strategy())
"""
SLEEP_IN_LOOP = f"""
import asyncio
{SECONDS}
def blocks():
    time.sleep(0.03)
{LOOP}
"""
REQUEST_IN_LOOP = f"""
import asyncio, http.server, threading, urllib.request
{SECONDS}
class Venue(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.03)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *given):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Venue)
threading.Thread(target=server.serve_forever, daemon=True).start()

def blocks():
    with urllib.request.urlopen("http://127.0.0.1:" + str(server.server_port)) as answer:
        return answer.read()
{LOOP}
"""
GARBAGE = """
import gc, time
end = time.monotonic() + 6  # a collection keeps the sampler waiting, too

class Order:
    def __init__(self):
        self.me = self
        self.legs = [[] for _ in range(3)]

def on_tick():
    book[:] = book[500:] + [Order() for _ in range(500)]
    gc.collect()

book = [Order() for _ in range(5_000)]
while time.monotonic() < end:
    on_tick()
"""
SERIALISATION = f"""
import json
{SECONDS}
quotes = [{{"symbol": str(place), "bid": place * 1.01, "venue": "X"}} for place in range(300)]

def publish():
    return json.dumps(quotes)

while time.monotonic() < end:
    publish()
    sum(quote["bid"] for quote in quotes)
"""
LOGGING = f"""
import logging
{SECONDS}
logging.basicConfig(filename="bot.log", level=logging.INFO)
log = logging.getLogger("bot")

def on_tick(number):
    log.info("tick %d", number)

number = 0
while time.monotonic() < end:
    on_tick(number)
    number += 1
"""
HEALTHY = f"""
import asyncio, queue, threading
{SECONDS}
inbox = queue.Queue()

def writes():
    while inbox.get() is not None:
        pass

def price(text):
    values = [float(part) for part in text.split(",")]
    return sum(values) / len(values)

text = ",".join(str(place / 7) for place in range(50))

async def feed():
    while time.monotonic() < end:
        inbox.put(price(text))
        await asyncio.sleep(0.02)

async def main():
    await asyncio.gather(*(feed() for _ in range(3)))

writer = threading.Thread(target=writes)
writer.start()
asyncio.run(main())
inbox.put(None)
writer.join()
"""
ENGINE = """
import time, sys

def tick(number):
    return sum(place * place for place in range(number))

def risk(number):
    total = 0
    for place in range(number):
        total += place % 7
    return total

def route(number):
    return sorted(range(number, 0, -1))[0]

def book(number):
    return len({place: str(place) for place in range(number)})

end = time.monotonic() + 4
while time.monotonic() < end:
    tick(2_000)
    risk(2_000 * FACTOR)
    route(9_000)
    book(500)
"""


def profiled(run: Callable[..., Ended], folder: Path, program: str) -> Profile:
    folder.joinpath("bot.py").write_text(program)
    command = (sys.executable, "-m", "tickspan", "profile", "--hz", "200", "-o", "bot.profile")
    ended = run(*command, "--", sys.executable, "bot.py", PYTHONPATH=SOURCES)
    assert (ended.returncode, ended.stderr) == (0, "")
    return Profile.load((folder / "bot.profile").read_bytes())


def told(found: list[Finding]) -> dict[str, str]:
    return {one.kind: one.where.partition(" ")[0] for one in found}


@pytest.mark.parametrize(
    ("program", "kind", "where"),
    [
        (LOCK, "lock", "work"),
        (SLEEP_IN_LOOP, "blocked_loop", "blocks"),
        (REQUEST_IN_LOOP, "blocked_loop", "SocketIO.readinto"),
        (SERIALISATION, "serialisation", "publish"),
        (LOGGING, "logging", "on_tick"),
        (GIL, "gil", "work"),
    ],
)
def test_what_is_planted_is_found_where_it_is(
    run: Callable[..., Ended], tmp_path: Path, program: str, kind: str, where: str
):
    found = bottlenecks(profiled(run, tmp_path, program))
    assert told(found).get(kind) == where
    assert all(one.advice and 0 < one.share <= 1 for one in found)


def test_garbage_collections_are_found(run: Callable[..., Ended], tmp_path: Path):
    assert "gc" in told(bottlenecks(profiled(run, tmp_path, GARBAGE)))


def test_a_healthy_program_gets_no_finding_but_that_of_a_machine_that_is_full(
    run: Callable[..., Ended], tmp_path: Path
):
    assert told(bottlenecks(profiled(run, tmp_path, HEALTHY))).keys() <= {"runqueue"}


def test_the_function_that_a_version_made_slower_is_found(run: Callable[..., Ended], tmp_path: Path):
    before = profiled(run, tmp_path, ENGINE.replace("FACTOR", "1"))
    after = profiled(run, tmp_path, ENGINE.replace("FACTOR", "15"))
    rises = [one.function for one in compared(before, after) if one.is_significant and one.points > 0]
    assert [name for name in rises if "bot.py" in name] == ["risk (bot.py)"]


QUADRATIC = """
import tickspan

@tickspan.profile
def matched(orders):
    return sum(1 for one in orders for other in orders if one < other)

for _ in range(3):
    for power in range(3, 12):
        matched(list(range(2**power)))
for finding in tickspan.get_profiler().get_performance_report().findings:
    print(finding.kind, finding.where, finding.evidence["order"])
"""


def test_a_function_that_grows_as_the_square_is_found_without_the_sampler(
    run: Callable[..., Ended], tmp_path: Path
):
    ended = run(sys.executable, "-c", QUADRATIC, PYTHONPATH=SOURCES)
    assert (ended.stdout, ended.stderr) == ("superlinear __main__.matched n²\n", "")
