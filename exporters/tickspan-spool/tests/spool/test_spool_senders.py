from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from tickspan_spool import home, liaison, thread_sender


class Sender:
    """Notes what a spool asks of a sending thread."""

    made: list[Sender]

    def __init__(self, store: Any, *, reads_folder: bool) -> None:
        self.store = store
        self.reads_folder = reads_folder
        self.calls: list[str] = []
        self.made.append(self)

    def start(self) -> bool:
        self.calls.append("start")
        return True

    def stop(self, timeout_s: float) -> bool:
        self.calls.append("stop")
        return True

    def wake(self) -> None:
        self.calls.append("wake")


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> list[Sender]:
    Sender.made = []
    monkeypatch.setattr(thread_sender, "ThreadSender", Sender)
    return Sender.made


def _spool(bench: Any, mode: str) -> Any:
    made = bench.spool(agent=mode)
    made._keeper.wake = lambda: None
    return made


def _agent_is_there(monkeypatch: pytest.MonkeyPatch, *, answer: bool) -> None:
    def ensure_running(_plan: object, *, is_last: bool = False) -> bool:
        del is_last
        return answer

    monkeypatch.setattr(liaison, "ensure_running", ensure_running)
    monkeypatch.setattr("tickspan_spool.spool._is_running", ensure_running)


def test_a_thread_sends_everything_when_it_is_asked_for(bench: Any, kit: Any, senders: list[Sender]):
    spool = _spool(bench, "thread")
    spool.stream(kit.key).append(b"x")
    spool._keeper.look()
    spool.force_flush(0)

    assert [(sender.reads_folder, sender.calls) for sender in senders] == [(True, ["start", "wake"])]


def test_a_thread_sends_everything_where_no_agent_can_be(
    bench: Any, kit: Any, senders: list[Sender], monkeypatch: pytest.MonkeyPatch
):
    _agent_is_there(monkeypatch, answer=False)
    spool = _spool(bench, "auto")
    spool.stream(kit.key).append(b"x")
    spool._keeper.look()

    assert [(sender.reads_folder, sender.calls) for sender in senders] == [(True, ["start"])]


def test_an_agent_makes_the_thread_unnecessary(
    bench: Any, kit: Any, senders: list[Sender], monkeypatch: pytest.MonkeyPatch
):
    _agent_is_there(monkeypatch, answer=True)
    spool = _spool(bench, "auto")
    spool.stream(kit.key).append(b"x")
    spool._keeper.look()

    assert senders == []


def test_beside_an_agent_the_thread_sends_what_is_in_memory(
    bench: Any, kit: Any, senders: list[Sender], monkeypatch: pytest.MonkeyPatch
):
    _agent_is_there(monkeypatch, answer=True)
    spool = _spool(bench, "auto")

    def refuse(path: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as while_full:
        while_full.setattr(home, "create_file", refuse)
        spool.stream(kit.key).append(b"x")
        spool._keeper.look()
    spool._keeper.look()
    spool.stream(kit.key).append(b"y")
    spool._keeper.look()

    assert [(sender.reads_folder, sender.calls) for sender in senders] == [(False, ["start", "stop"])]


def test_nobody_sends_what_nobody_wants(
    bench: Any, kit: Any, senders: list[Sender], monkeypatch: pytest.MonkeyPatch
):
    spool = bench.spool(agent="thread", destinations=())
    spool._keeper.wake = lambda: None
    spool.stream(kit.key).append(b"x")
    spool._keeper.look()

    assert senders == []
