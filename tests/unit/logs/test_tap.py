"""The tap: records of all processes of a service become lines, once each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from tickspan_spool.entries import Entry, export_request
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch, Turn, decoded

from tickspan.config import LogRotation, LogSettings
from tickspan.logs import search
from tickspan.logs.chain import verify
from tickspan.logs.handover import Wish, hand_over, wish_of
from tickspan.logs.names import files_in
from tickspan.logs.reading import audit_lines
from tickspan.logs.tap import LogTap
from tickspan.received import ReceivedLog, decode_logs

from .conftest import Desk


class Agent:
    """The tap with a clock, and a folder for its lines."""

    def __init__(self, tmp_path: Path) -> None:
        self.spool = tmp_path / "spool"
        self.logs = tmp_path / "logs"
        self.now_s = 0.0
        self.tap = self.started()

    def started(self) -> LogTap:
        """A new one, as after a crash."""
        return LogTap(self.spool, {}, wall=lambda: 1_795_694_400.0, monotonic=lambda: self.now_s)

    def crash(self) -> None:
        """The tap is killed, and another begins."""
        for desk in self.tap._desks.values():
            desk.plain.files.claim.release()
        self.tap = self.started()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.logs.iterdir() if not path.name.endswith(".lock"))

    def wants(self, service: str = "bot", **settings: Any) -> None:
        settings = {"directory": str(self.logs), "prefix": "oms", **settings}
        hand_over(self.spool, service, LogSettings(**settings))

    def lines(self) -> list[dict[str, Any]]:
        return [dict(hit.line) for hit in search(directory=self.logs, limit=0)]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def batch(desk: Desk, process: str = "101-7-ab", service: str = "bot", since: int = 0) -> TapBatch:
    entries = [Entry(one.stream, one.body, one.items, since + n) for n, one in enumerate(desk.sink.entries)]
    return TapBatch(process, service, entries)


def decoded_logs(records: Iterable[Record] | None) -> tuple[ReceivedLog, ...]:
    """What the tap gives to be sent."""
    entries = [Entry(one.stream, one.body, one.items, 0) for one in records or ()]
    return decode_logs(decoded("logs", export_request(entries)))  # type: ignore[arg-type] - what users do


def test_a_record_is_a_line_of_json(agent: Agent, desk: Desk):
    agent.wants()
    desk.provider._resource = Resource({"service.name": "bot", "process.pid": 101})
    try:
        raise ValueError("bad price")
    except ValueError:
        desk.logger("oms", "trading").warning("%s filled", "AAPL", exc_info=True, price=1.5, level="x")
    agent.tap.on_batch(batch(desk))
    (line,) = agent.lines()
    (log,) = desk.logs()
    assert line == {
        "time": line["time"],
        "level": "WARN",
        "severity": 13,
        "category": "trading",
        "logger": "oms",
        "service": "bot",
        "pid": 101,
        "message": "AAPL filled",
        "template": "%s filled",
        "code": {
            "file": __file__,
            "line": log.attributes["code.line.number"],
            "function": "test_a_record_is_a_line_of_json",
        },
        "exception": {
            "type": "ValueError",
            "message": "bad price",
            "stacktrace": log.attributes["exception.stacktrace"],
        },
        "fields": {"price": 1.5, "level": "x"},
        "uid": "101-7-ab-0",
    }
    assert line["time"].endswith("Z")


def test_values_of_all_kinds_are_json(agent: Agent, desk: Desk):
    agent.wants()
    desk.direct("md").info(
        "x", nan=float("nan"), raw=b"\x00\xff", nested={"a": [1, None, {"b": True}]}, text="ü\ud800"
    )
    agent.tap.on_batch(batch(desk))
    assert agent.lines()[0]["fields"] == {
        "nan": "nan",
        "raw": "AP8=",
        "nested": {"a": [1, None, {"b": True}]},
        "text": "ü\ufffd",
    }


def test_a_service_that_wants_no_files_gets_none(agent: Agent, desk: Desk):
    agent.wants("other")
    desk.direct("md").info("x")
    assert agent.tap.on_batch(batch(desk)) is None
    assert not agent.logs.exists()


def test_processes_of_a_service_share_a_file(agent: Agent, desk: Desk):
    agent.wants()
    desk.direct("md").info("x")
    for process in ("101-7-ab", "102-8-cd"):
        agent.tap.on_batch(batch(desk, process))
    assert [line["uid"] for line in agent.lines()] == ["101-7-ab-0", "102-8-cd-0"]
    assert len(agent.names()) == 1


def test_a_batch_that_comes_again_after_a_crash_is_written_once(agent: Agent, desk: Desk):
    agent.wants()
    for number in range(5):
        desk.direct("md").info("x", n=number)
    desk.logger("oms").audit("limit")
    whole = batch(desk)
    agent.tap.on_batch(TapBatch(whole.process, "bot", whole.entries[:3]))
    agent.crash()
    agent.tap.on_batch(whole)
    assert sorted(line["uid"] for line in agent.lines()) == [f"101-7-ab-{n}" for n in range(6)]


def test_other_signals_are_left_alone(agent: Agent, desk: Desk):
    agent.wants()
    desk.direct("md").info("x")
    entry = desk.sink.entries[0]
    traces = entry._replace(
        stream=entry.stream.__class__("traces", entry.stream.resource, entry.stream.scope)
    )
    agent.tap.on_batch(TapBatch("101-7-ab", "bot", [traces]))
    assert not agent.logs.exists()


def test_each_process_begins_a_file_where_files_are_by_session(agent: Agent, desk: Desk):
    agent.wants(rotate=LogRotation.SESSION)
    desk.direct("md").info("x")
    for process in ("101-7-ab", "102-8-cd"):
        agent.tap.on_batch(batch(desk, process))
    assert len(agent.names()) == 2


def test_audit_records_are_a_chain_that_goes_on_after_a_restart(agent: Agent, desk: Desk):
    agent.wants()
    for number in range(3):
        desk.logger("oms").audit("limit changed", limit=number)
    agent.tap.on_batch(batch(desk))
    agent.crash()
    agent.tap.on_batch(batch(desk, since=3))
    verdict = verify(audit_lines(agent.logs, "oms"))
    assert (verdict.last, verdict.is_whole) == (6, True)
    assert all("-audit-" in name for name in agent.names())


def test_the_head_of_the_chain_is_told_each_minute_in_which_it_grew(agent: Agent, desk: Desk):
    agent.wants()
    desk.logger("oms").audit("limit changed")
    agent.tap.on_batch(batch(desk))
    records = list(agent.tap.tick(0.0) or ())
    (told,), (log,) = records, decoded_logs(records)
    head = verify(audit_lines(agent.logs, "oms")).head
    assert (told.process, log.event_name) == ("101-7-ab", "tickspan.audit.chain")
    assert log.attributes == {"tickspan.audit.chain.link": 1, "tickspan.audit.chain.head": head}
    agent.tap.on_batch(batch(desk, since=1))
    assert list(agent.tap.tick(0.0) or ()) == []
    agent.now_s = 61.0
    assert len(list(agent.tap.tick(0.0) or ())) == 1


def test_with_a_key_file_the_chain_has_a_key(agent: Agent, desk: Desk, tmp_path: Path):
    (tmp_path / "key").write_bytes(b"k\n")
    agent.wants(audit_key_file=str(tmp_path / "key"))
    desk.logger("oms").audit("limit changed")
    agent.tap.on_batch(batch(desk))
    lines = list(audit_lines(agent.logs))
    assert (verify(lines, [b"k"]).is_whole, verify(lines).is_whole) == (True, False)


def test_lines_that_were_lost_are_told_in_a_line(agent: Agent, desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tickspan.logs.files.MAX_WAITING_BYTES", 10)
    agent.wants()
    desk.direct("md").info("x")
    agent.tap.on_batch(batch(desk))
    monkeypatch.undo()
    agent.tap.tick(0.0)
    assert [(line["event"], line["fields"]) for line in agent.lines()] == [
        ("tickspan.log.dropped", {"count": 1})
    ]


def test_records_that_are_none_do_not_end_the_tap(agent: Agent, desk: Desk):
    agent.wants()
    desk.direct("md").info("x")
    entry = desk.sink.entries[0]
    agent.tap.on_batch(TapBatch("101-7-ab", "bot", [entry._replace(body=b"\xff\xff\xff")]))
    agent.tap.on_batch(batch(desk, since=1))
    assert [line["uid"] for line in agent.lines()] == ["101-7-ab-1"]


def test_full_files_are_compressed_beside_the_writing(agent: Agent, desk: Desk):
    agent.wants(max_file_bytes=100)
    for _ in range(3):
        desk.direct("md").info("x")
    agent.tap.on_batch(batch(desk))
    agent.now_s = 6.0
    agent.tap.tick(0.0)
    assert agent.tap._tidying is not None
    agent.tap._tidying.join(10.0)
    assert sorted(Path(name).suffix for name in agent.names()) == [".idx", ".idx", ".jsonl", ".zst", ".zst"]
    assert len(agent.lines()) == 3


def test_a_crash_between_the_plain_and_the_audit_file_loses_no_audit_record(agent: Agent, desk: Desk):
    agent.wants()
    desk.logger("oms").audit("limit")
    desk.direct("md").info("x")
    agent.tap.on_batch(batch(desk))
    (audit,) = [path for path in agent.logs.iterdir() if "-audit-" in path.name]
    audit.write_bytes(b"")  # of which nothing came to the disk
    agent.crash()
    agent.tap.on_batch(batch(desk))
    assert sorted(line["uid"] for line in agent.lines()) == ["101-7-ab-0", "101-7-ab-1"]
    assert verify(audit_lines(agent.logs)).last == 1


def test_an_entry_of_several_records_that_is_half_written_is_completed(agent: Agent, desk: Desk):
    agent.wants()
    for number in range(3):
        desk.direct("md").info("x", n=number)
    one = desk.sink.entries[0]
    body = b"".join(entry.body for entry in desk.sink.entries)
    whole = TapBatch("101-7-ab", "bot", [one._replace(body=body, items=3, sequence=4)])
    agent.tap.on_batch(whole)
    (path,) = [agent.logs / name for name in agent.names()]
    path.write_bytes(path.read_bytes()[:-30])
    agent.crash()
    agent.tap.on_batch(whole)
    assert [line["uid"] for line in agent.lines()] == [f"101-7-ab-{n}" for n in (4, 5, 6)]
    assert [line["fields"]["n"] for line in agent.lines()] == [0, 1, 2]


def test_records_that_cannot_be_read_are_counted_and_their_neighbours_are_written(agent: Agent, desk: Desk):
    agent.wants()
    desk.direct("md").info("x")
    good = desk.sink.entries[0]
    bad = good._replace(body=b"\xff\xff\xff", items=7, sequence=1)
    agent.tap.on_batch(TapBatch("101-7-ab", "bot", [good, bad, good._replace(sequence=8)]))
    (told,) = decoded_logs(agent.tap.tick(0.0))
    lines = agent.lines()
    assert [line.get("uid") for line in lines if "uid" in line] == ["101-7-ab-0", "101-7-ab-8"]
    assert [line["fields"] for line in lines if line.get("event") == "tickspan.log.dropped"] == [{"count": 7}]
    assert (told.event_name, told.attributes) == ("tickspan.log.dropped", {"count": 7})


def test_while_a_disk_takes_nothing_records_wait_in_the_spool_for_some_time(
    agent: Agent, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    agent.wants()
    agent.logs.write_text("a file is in the way")
    desk.direct("md").info("x")
    agent.tap.on_batch(batch(desk))
    assert (agent.tap.is_behind("bot"), agent.tap.is_behind("other")) == (True, False)
    agent.now_s = 301.0
    assert not agent.tap.is_behind("bot")
    agent.now_s = 302.0
    agent.logs.unlink()
    agent.tap.tick(0.0)
    assert [line["uid"] for line in agent.lines()] == ["101-7-ab-0"]
    assert not agent.tap.is_behind("bot")


def test_audit_records_wait_in_the_spool_as_long_as_it_takes(agent: Agent, desk: Desk):
    agent.wants()
    agent.logs.write_text("a file is in the way")
    desk.logger("oms").audit("limit")
    agent.tap.on_batch(batch(desk))
    agent.now_s = 1e6
    assert agent.tap.is_behind("bot")
    assert list(agent.tap.tick(0.0) or ()) == []  # no head is told of what no disk has


def test_services_that_share_a_folder_and_a_prefix_share_a_writer(agent: Agent, desk: Desk):
    agent.wants("a", max_file_bytes=10_000)
    agent.wants("b", max_file_bytes=20_000)
    desk.logger("oms").audit("limit")
    for process, service in (("101-7-ab", "a"), ("102-8-cd", "b"), ("103-9-ef", "a")):
        agent.tap.on_batch(batch(desk, process, service))
    assert len(agent.names()) == 1
    assert verify(audit_lines(agent.logs)).last == 3


def test_two_agents_that_write_into_one_folder_have_chains_of_their_own(agent: Agent, desk: Desk):
    agent.wants()
    desk.logger("oms").audit("limit")
    other = agent.started()
    for number in range(2):
        agent.tap.on_batch(batch(desk, since=number))
        other.on_batch(batch(desk, "102-8-cd", since=number))
    verdicts = [verify(audit_lines(agent.logs, prefix)) for prefix in ("oms", "oms.2")]
    assert [(one.is_whole, one.last) for one in verdicts] == [(True, 2), (True, 2)]


def test_a_process_without_an_agent_has_files_of_its_own(agent: Agent, desk: Desk):
    agent.wants()
    desk.logger("oms").audit("limit")
    desk.direct("md").info("x")
    tap = LogTap.in_process(agent.spool)
    tap.on_batch(batch(desk))
    tap.close()
    assert {name.prefix for name in files_in(agent.logs)} == {f"oms.{os.getpid()}"}
    assert len(search(directory=agent.logs, prefix="oms")) == 2


def test_the_head_is_told_at_once_where_a_file_is_full_and_where_its_process_ended(agent: Agent, desk: Desk):
    agent.wants(max_file_bytes=100)
    desk.logger("oms").audit("limit changed")
    for number in range(3):
        agent.tap.on_batch(batch(desk, since=number))
        (told,) = decoded_logs(agent.tap.tick(0.0))
        assert told.attributes["tickspan.audit.chain.link"] == number + 1
    agent.wants(max_file_bytes=100_000)
    agent.now_s = 2.0
    agent.tap.on_batch(batch(desk, since=3))
    agent.tap.tick(0.0)
    agent.tap.on_batch(batch(desk, since=4))
    assert list(agent.tap.tick(0.0) or ()) == []
    (told,) = decoded_logs(agent.tap.on_end(ProcessEnd("101-7-ab", "bot", 101, has_exited_cleanly=True)))
    head = verify(audit_lines(agent.logs)).head
    assert told.attributes == {"tickspan.audit.chain.link": 5, "tickspan.audit.chain.head": head}
    assert told.body == f"oms 5:{head}"


def test_a_key_that_is_exchanged_holds_from_the_next_record_on(agent: Agent, desk: Desk, tmp_path: Path):
    key = tmp_path / "key"
    key.write_bytes(b"old")
    agent.wants(audit_key_file=str(key))
    desk.logger("oms").audit("limit changed")
    agent.tap.on_batch(batch(desk))
    (tmp_path / "next").write_bytes(b"new\n")
    (tmp_path / "next").rename(key)
    agent.tap.on_batch(batch(desk, since=1))
    lines = list(audit_lines(agent.logs))
    assert verify(lines, [b"old", b"new"]).is_whole
    assert not verify(lines, [b"new"]).is_whole


def test_a_tap_that_sees_all_is_shown_each_batch_whatever_it_has_used(desk: Desk):
    class Slow:
        sees_all = True

        def __init__(self) -> None:
            self.seen = 0

        def on_batch(self, batch: TapBatch) -> Iterable[Any] | None:
            self.seen += 1

        def tick(self, now_s: float) -> Iterable[Any] | None:
            return None

    slow = Slow()
    times = iter(range(0, 1_000, 10))
    turn = Turn("slow", lambda: slow, 0.0, lambda: float(next(times)))
    desk.direct("md").info("x")
    for _ in range(3):
        turn.on_batch(batch(desk), 0.0)
    assert (slow.seen, turn.statistics().skipped) == (3, 0)


def test_a_wish_is_read_as_it_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = LogSettings(
        directory="logs", prefix="oms", rotate=LogRotation.DAILY, archive_dir="old", audit_key_file="k"
    )
    hand_over(tmp_path / "spool", "bot", settings)
    wish = wish_of(tmp_path / "spool", "bot")
    assert wish == Wish.of(settings)
    assert wish is not None
    assert (wish.rules.directory, wish.rules.archive_dir) == (tmp_path / "logs", tmp_path / "old")
    hand_over(tmp_path / "spool", "bot", LogSettings())
    assert wish_of(tmp_path / "spool", "bot") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"directory": 5}', "\x00"])
def test_a_wish_that_cannot_be_read_is_none(tmp_path: Path, text: str):
    hand_over(tmp_path, "bot", LogSettings(directory="/logs"))
    next(tmp_path.iterdir()).write_text(text)
    assert wish_of(tmp_path, "bot") is None
