"""The thread sender: memory and the process's own folder, without an agent."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.entries import StreamKey
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.receiver import Batch, Receiver, Response
from tickspan_spool.sender import Destination
from tickspan_spool.spool import Spool, SpoolPlan
from tickspan_spool.thread_sender import ThreadSender, ThreadSenderStatistics

pytestmark = pytest.mark.integration

_KEY = StreamKey("traces", b"", b"")


class _Inbox:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.refusals = 0

    def take(self, batch: Batch) -> None:
        assert isinstance(batch.message, ExportTraceServiceRequest)
        groups = batch.message.resource_spans
        self.names += [span.name for group in groups for scope in group.scope_spans for span in scope.spans]

    def answer(self, _batch: Batch) -> Response | None:
        self.refusals -= 1
        return Response(503) if self.refusals >= 0 else None


@pytest.fixture
def inbox() -> _Inbox:
    return _Inbox()


@pytest.fixture
def plan(tmp_path: Path, inbox: _Inbox) -> Iterator[SpoolPlan]:
    with Receiver(inbox.take, answer=inbox.answer) as receiver:
        destination = Destination("traces", f"{receiver.endpoint}/v1/traces")
        yield SpoolPlan(tmp_path / "spool", agent="off", destinations=(destination,))


def _record(spool: Spool, *names: str) -> None:
    for name in names:
        spool.stream(_KEY).append(ScopeSpans(spans=[Span(name=name)]).SerializeToString())


def _deliver(spool: Spool, sender: ThreadSender) -> bool:
    assert sender.start()
    try:
        return spool.force_flush(10)
    finally:
        assert sender.stop(5)
        spool.stop()


def test_the_folder_of_the_process_is_delivered(plan: SpoolPlan, inbox: _Inbox):
    spool = Spool(plan)
    sender = ThreadSender(spool)
    _record(spool, "buy", "sell")
    assert (_deliver(spool, sender), inbox.names) == (True, ["buy", "sell"])
    assert sender.statistics() == ThreadSenderStatistics(2)


def test_what_no_disk_takes_is_delivered_from_memory(plan: SpoolPlan, inbox: _Inbox):
    plan.directory.write_text("no folder")
    spool = Spool(plan)
    _record(spool, "buy", "sell")
    assert spool.statistics().mode == "ring"
    assert (_deliver(spool, ThreadSender(spool, reads_folder=False)), inbox.names) == (True, ["buy", "sell"])


def test_a_folder_that_an_agent_reads_is_left_to_it(plan: SpoolPlan, inbox: _Inbox):
    spool = Spool(plan)
    _record(spool, "buy")
    assert spool.path is not None
    agents = ProcessFolder(spool.path)
    assert agents.claim()
    sender = ThreadSender(spool)
    rests_s = [sender.look(), sender.look()]
    agents.release()
    sender.look()
    sender.stop()
    spool.stop()
    assert (rests_s[0] > 0, inbox.names) == (True, ["buy"])


def test_a_refused_batch_is_tried_again(plan: SpoolPlan, inbox: _Inbox):
    inbox.refusals = 1
    spool = Spool(plan)
    _record(spool, "buy")
    assert (_deliver(spool, ThreadSender(spool)), inbox.names) == (True, ["buy"])


def test_starting_twice_is_one_thread(plan: SpoolPlan):
    sender = ThreadSender(Spool(plan))
    assert (sender.start(), sender.start(), repr(sender)) == (
        True,
        True,
        "<ThreadSender of memory and folder: well>",
    )
    assert sender.stop()


def test_a_sender_that_is_stopped_without_patience_lets_go_of_the_folder_by_itself(plan: SpoolPlan):
    spool = Spool(plan)
    sender = ThreadSender(spool)
    _record(spool, "buy")
    sender.start()
    assert spool.force_flush(10)
    sender.stop(0)
    assert sender.stop(5)
    assert spool.path is not None
    assert ProcessFolder(spool.path).claim()
    assert sender.start()
    assert sender.stop(5)
    spool.stop()


def test_a_forked_child_leaves_the_parents_claim_and_delivers_its_own(plan: SpoolPlan, inbox: _Inbox):
    spool = Spool(plan)
    sender = ThreadSender(spool)
    _record(spool, "parent")
    sender.look()
    child = os.fork()
    if child == 0:
        _record(spool, "child")
        os._exit(0 if _deliver(spool, sender) else 1)
    _, status = os.waitpid(child, 0)
    assert spool.path is not None
    is_still_claimed = not ProcessFolder(spool.path).claim()
    assert (status, is_still_claimed, _deliver(spool, sender)) == (0, True, True)
    assert sorted(inbox.names) == ["child", "parent"]
