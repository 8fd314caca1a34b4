"""Log files of real processes and a real agent: what was logged is found once, also after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tickspan_spool import agent

from tickspan.logs import SearchResult, search
from tickspan.logs.chain import verify
from tickspan.logs.names import files_in
from tickspan.logs.reading import audit_lines

pytestmark = pytest.mark.e2e

Start = Callable[..., subprocess.Popen[str]]

_WRITER = """
import sys, tickspan
from tickspan import logs
tickspan.init({"logs": {"max_file_bytes": 20000, "backup_count": 0, "throttle": 0}}, service_name="oms")
log = tickspan.get_logger("oms", logs.Category.TRADING)
direct = logs.get_direct_logger("md", logs.Category.MARKET_DATA)
name = sys.argv[1]
for number in range(10**9 if name == "endless" else 300):
    log.info("order %d", number, writer=name, number=number)
    direct.info("tick", writer=name, number=number)
    if number % 10 == 0:
        log.audit("limit changed", writer=name, number=number)
    print(number, flush=True)
"""


_FORKING = """
import os, sys, tickspan
from tickspan import logs
from tickspan.distro import process_pipeline
tickspan.init({"logs": {"max_file_bytes": 20000, "backup_count": 0, "throttle": 0}}, service_name="oms")
log = tickspan.get_logger("oms", logs.Category.TRADING)

def write(name):
    for number in range(100):
        log.info("order %d", number, writer=name, number=number)
        if number % 10 == 0:
            log.audit("limit changed", writer=name, number=number)

name = sys.argv[1]
write(name)
children = []
for child in range(3):
    pid = os.fork()
    if not pid:
        write(f"{name}{child}")
        os.kill(os.getpid(), 9) if child == 1 else sys.exit(not process_pipeline().spool.force_flush(50))
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
write(f"{name} again")
process_pipeline().spool.force_flush(50)
"""
_LINES_OF_ONE = 110
_SLOW = """
import sys, time, tickspan
from tickspan import logs
tickspan.init({"logs": {"max_file_bytes": 20000, "backup_count": 0, "throttle": 0}}, service_name="oms")
log = tickspan.get_logger("oms", logs.Category.TRADING)
for number in range(1500):
    log.info("order %d", number, writer=sys.argv[1], number=number)
    if number % 10 == 0:
        log.audit("limit changed", writer=sys.argv[1], number=number)
        time.sleep(0.02)
"""
_SLOW_LINES = 1_650
_MUCH = 30_000
_TOO_MUCH = f"""
import json, sys, time, tickspan
from tickspan import logs
from tickspan.distro import process_pipeline
from tickspan.logs.capture import CAPTURE
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.track import TAP_TRACK
tickspan.init(
    {{"spool": {{"max_bytes": 1 << 20, "segment_bytes": 1 << 16}}, "logs": {{"backup_count": 0}}}},
    service_name="oms",
)
direct = logs.get_direct_logger("md", logs.Category.MARKET_DATA)
for number in range({_MUCH}):
    direct.info("tick", number=number)
    if number % 10_000 == 0:
        time.sleep(0.5)
print("written", flush=True)
sys.stdin.readline()
spool = process_pipeline().spool
deadline_s, settled = time.monotonic() + 30, None
while time.monotonic() < deadline_s:
    settled = ProcessFolder(spool.path).read_acknowledgement(f"logs-{{TAP_TRACK}}.ack")
    if settled.delivered + sum(settled.dropped) >= spool.statistics().ended["logs"]:
        break
    time.sleep(0.1)
print(json.dumps([sum(CAPTURE.statistics().dropped.values()), sum(settled.dropped)]), flush=True)
"""


@pytest.fixture
def environment(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Of programs whose log files stand below `tmp_path`."""
    spool = tmp_path / "spool"
    yield {
        **clean_environment,
        "TICKSPAN_SPOOL_DIR": str(spool),
        "TICKSPAN_LOGS_DIRECTORY": str(tmp_path / "logs"),
        "TICKSPAN_LOGS_PREFIX": "oms",
    }
    agent.stop(spool)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts a writer."""
    started: list[subprocess.Popen[str]] = []

    def start_it(name: str, program: str = _WRITER, **changes: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, name]
        process = subprocess.Popen(
            command, env=environment | changes, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start_it
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def settled(folder: Path, is_enough: Callable[[SearchResult], bool], seconds: float = 60.0) -> SearchResult:
    """All lines, once there are enough."""
    deadline_s = time.monotonic() + seconds
    while True:
        found = search(directory=folder, limit=0, prefix="oms") if folder.is_dir() else SearchResult()
        if is_enough(found) or time.monotonic() >= deadline_s:
            return found
        time.sleep(0.1)


def test_lines_of_several_processes_are_all_there_once(tmp_path: Path, start: Start):
    processes = [start(name) for name in ("a", "b")]
    for process in processes:
        process.communicate(timeout=60)
    found = settled(tmp_path / "logs", lambda result: len(result) >= 1260)
    told = sorted((hit.fields["writer"], hit.line["category"], hit.fields["number"]) for hit in found)
    assert told == sorted(
        (writer, category, number)
        for writer in ("a", "b")
        for category, step in (("trading", 1), ("market_data", 1), ("audit", 10))
        for number in range(0, 300, step)
    )
    verdict = verify(audit_lines(tmp_path / "logs"))
    assert (verdict.is_whole, verdict.last, verdict.gaps) == (True, 60, ())


def test_what_a_killed_process_has_logged_is_found(tmp_path: Path, start: Start):
    process = start("endless")
    assert process.stdout is not None
    settled(tmp_path / "logs", lambda result: len(result) > 0)  # an agent is there
    process.send_signal(signal.SIGKILL)
    *_, logged = map(int, re.findall(r"^(\d+)\n", process.stdout.read(), re.MULTILINE))
    process.wait()

    def is_enough(result: SearchResult) -> bool:
        return sum(hit.line["category"] == "trading" for hit in result) > logged

    found = settled(tmp_path / "logs", is_enough)
    numbers = [hit.fields["number"] for hit in found if hit.line["category"] == "trading"]
    assert numbers[: logged + 1] == list(range(logged + 1))
    assert len(numbers) in {logged + 1, logged + 2}
    assert verify(audit_lines(tmp_path / "logs")).gaps == ()


def test_an_agent_that_is_killed_is_followed_by_one_that_writes_the_rest_once(
    tmp_path: Path, environment: dict[str, str], start: Start
):
    process = start("a")
    settled(tmp_path / "logs", lambda result: len(result) > 0)
    (status,) = (tmp_path / "spool/v1/agents").glob("*.status.json")
    subprocess.run(["kill", "-9", str(json.loads(status.read_text())["pid"])], check=True)
    process.communicate(timeout=60)
    again = start("b")
    again.communicate(timeout=60)
    found = settled(tmp_path / "logs", lambda result: len(result) >= 1260)
    uids = [hit.line["uid"] for hit in found]
    assert (len(uids), len(set(uids))) == (1260, 1260)
    assert verify(audit_lines(tmp_path / "logs")).is_whole
    assert environment["TICKSPAN_LOGS_PREFIX"] == "oms"


def agent_pid(spool: Path) -> int | None:
    """Of the agent that says that it runs."""
    for status in (spool / "v1/agents").glob("*.status.json"):
        with suppress(OSError, ValueError):
            return json.loads(status.read_text())["pid"]
    return None


def expected_lines(names: Iterable[str]) -> list[tuple[str, str, int]]:
    """Of programs that fork, in order."""
    writers = [f"{name}{rest}" for name in names for rest in ("", "0", "1", "2", " again")]
    return sorted(
        (writer, category, number)
        for writer in writers
        for category, step in (("trading", 1), ("audit", 10))
        for number in range(0, 100, step)
    )


def told_lines(found: SearchResult) -> list[tuple[str, str, int]]:
    """The same of what was found."""
    return sorted((hit.fields["writer"], hit.line["category"], hit.fields["number"]) for hit in found)


@pytest.mark.parametrize("mode", ["auto", "thread"])
def test_processes_that_fork_and_are_killed_have_each_line_once(tmp_path: Path, start: Start, mode: str):
    names = ("a", "b")
    for process in [start(name, _FORKING, TICKSPAN_AGENT=mode) for name in names]:
        assert process.wait(60) == 0
    writers = 5 - (mode == "thread")  # nobody writes what a killed process has left, where no agent is
    found = settled(tmp_path / "logs", lambda result: len(result) >= writers * 2 * _LINES_OF_ONE)
    killed = {f"{name}1" for name in names} if mode == "thread" else set[str]()
    told = [line for line in told_lines(found) if line[0] not in killed]
    assert told == [line for line in expected_lines(names) if line[0] not in killed]
    uids = [hit.line["uid"] for hit in found]
    assert len(set(uids)) == len(uids)
    prefixes = {name.prefix for name in files_in(tmp_path / "logs")}
    verdicts = [verify(audit_lines(tmp_path / "logs", prefix)) for prefix in sorted(prefixes)]
    assert all(one.is_whole and not one.gaps for one in verdicts)
    assert (prefixes == {"oms"}) is (mode == "auto")


def test_what_a_killed_process_without_an_agent_has_left_is_written_by_the_next_agent(
    tmp_path: Path, start: Start
):
    assert start("a", _FORKING, TICKSPAN_AGENT="thread").wait(60) == 0
    assert start("b", _FORKING).wait(60) == 0
    found = settled(tmp_path / "logs", lambda result: len(result) >= 10 * _LINES_OF_ONE)
    assert told_lines(found) == expected_lines(("a", "b"))


def test_an_agent_that_is_killed_again_and_again_while_files_are_full_loses_and_doubles_nothing(
    tmp_path: Path, start: Start
):
    process = start("a", _SLOW)
    killed = 0
    deadline_s = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline_s:
        pid, files = agent_pid(tmp_path / "spool"), len(files_in(tmp_path / "logs"))
        if pid is not None and files > killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.01)
    assert process.wait(60) == 0
    assert start("b", _SLOW).wait(60) == 0
    found = settled(tmp_path / "logs", lambda result: len(result) >= 2 * _SLOW_LINES)
    assert told_lines(found) == sorted(
        (writer, category, number)
        for writer in ("a", "b")
        for category, step in (("trading", 1), ("audit", 10))
        for number in range(0, 1_500, step)
    )
    verdict = verify(audit_lines(tmp_path / "logs", "oms"))
    assert (verdict.is_whole, verdict.gaps, verdict.last) == (True, (), 300)
    assert killed >= 2


def test_lines_wait_in_the_spool_while_their_folder_cannot_be_written(tmp_path: Path, start: Start):
    (tmp_path / "logs").write_text("a file is in the way")
    process = start("a", _SLOW)
    assert process.wait(60) == 0
    deadline_s = time.monotonic() + 30
    while agent_pid(tmp_path / "spool") is None and time.monotonic() < deadline_s:
        time.sleep(0.05)
    pid = agent_pid(tmp_path / "spool")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # what waits is in the spool, and not in its memory
    (tmp_path / "logs").unlink()
    assert start("b", _SLOW).wait(60) == 0
    found = settled(tmp_path / "logs", lambda result: len(result) >= 2 * _SLOW_LINES)
    assert len(found) == 2 * _SLOW_LINES
    assert verify(audit_lines(tmp_path / "logs", "oms")).is_whole


def test_what_does_not_fit_into_the_spool_is_counted_and_the_rest_is_found(tmp_path: Path, start: Start):
    process = start("a", _TOO_MUCH, TICKSPAN_AGENT="external")
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "written\n"
    assert start("b", _FORKING).wait(60) == 0  # which brings an agent
    process.stdin.write("go on\n")
    process.stdin.close()
    dropped = json.loads(process.stdout.readline())
    assert process.wait(60) == 0

    def is_whole(result: SearchResult) -> bool:
        return sum(hit.line["category"] == "market_data" for hit in result) + sum(dropped) >= _MUCH

    found = settled(tmp_path / "logs", is_whole)
    numbers = [hit.fields["number"] for hit in found if hit.line["category"] == "market_data"]
    assert len(numbers) + sum(dropped) == _MUCH
    assert numbers == sorted(set(numbers))
    assert sum(dropped)
