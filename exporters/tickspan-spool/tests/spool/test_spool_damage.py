from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tickspan_spool import layout
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason

_SENT = [b"%02d" % number + b"x" * (7 * number) for number in range(40)]


def _dead_process(bench: Any, kit: Any, sent: list[bytes] = _SENT, size: int = 8 << 10) -> Path:
    """The folder of a process that recorded these and died."""

    def work() -> None:
        made = bench.spool(segment_bytes=size)
        made._keeper.wake = lambda: None
        stream = made.stream(kit.key)
        for record in sent:
            stream.append(record)

    assert kit.child(work).wait() == 0
    (reader,) = bench.folders()
    return reader.path


def _flip(path: Path, index: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(index)
        (byte,) = file.read(1)
        file.seek(index)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.fixture
def pristine(bench: Any, kit: Any) -> dict[str, bytes]:
    path = _dead_process(bench, kit)
    return {each.name: each.read_bytes() for each in path.iterdir()}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.usefixtures("form")
def test_one_flipped_bit_costs_one_record_at_most_and_the_ledger_is_exact(
    pristine: dict[str, bytes], tmp_path: Path, kit: Any, data: st.DataObject
):
    path = tmp_path / f"copy-{os.urandom(6).hex()}"
    path.mkdir()
    for name, content in pristine.items():
        (path / name).write_bytes(content)
    segment = data.draw(st.sampled_from(sorted(name for name in pristine if name.endswith(".seg"))))
    _flip(path / segment, data.draw(st.integers(0, 8191)), data.draw(st.integers(0, 7)))
    reader = ProcessFolder(path)

    received = kit.bodies(kit.deliver(reader, most=7))
    ledger = kit.traces(reader)

    assert [body for body in _SENT if body in received] == received
    assert len(received) >= len(_SENT) - 1
    assert (ledger.ended, ledger.delivered, ledger.in_spool) == (len(_SENT), len(received), 0)
    assert ledger.is_balanced
    assert set(ledger.dropped) <= {Reason.DAMAGED, Reason.TORN}


@pytest.mark.usefixtures("form")
def test_damage_in_the_middle_is_passed_over_while_the_process_lives(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    for record in (b"first", b"second", b"third"):
        stream.append(record)
    content = (spool.path / "00000001.seg").read_bytes()
    _flip(spool.path / "00000001.seg", content.index(b"second"), 0)
    reader = bench.folder()

    assert kit.bodies(kit.deliver(reader)) == [b"first", b"third"]
    assert kit.traces(reader) == Ledger(3, 2, 0, {Reason.DAMAGED: 1})


@pytest.mark.usefixtures("form")
def test_an_unfinished_record_is_awaited_of_the_living_and_torn_of_the_dead(bench: Any, kit: Any):
    path = _dead_process(bench, kit, [b"whole", b"unfinished"])
    segment = path / "00000001.seg"
    at = segment.read_bytes().index(b"unfinished") - layout.RECORD_HEADER_BYTES
    with segment.open("r+b") as file:
        file.seek(at + 4)
        file.write(bytes(4))
    (reader,) = bench.folders()

    assert kit.bodies(kit.deliver(reader)) == [b"whole"]
    assert kit.traces(reader) == Ledger(2, 1, 0, {Reason.TORN: 1})


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("content", [b"", b"foreign", bytes(1024), b"\xff" * 1024])
def test_a_useless_acknowledgement_means_to_begin_again(bench: Any, kit: Any, content: bytes):
    path = _dead_process(bench, kit)
    (path / "traces-0.ack").write_bytes(content)
    (reader,) = bench.folders()

    assert kit.bodies(kit.deliver(reader)) == _SENT
    assert kit.traces(reader) == Ledger(len(_SENT), len(_SENT), 0, {})


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("name", ["page", "process.json", "lock", "00000001.seg"])
@pytest.mark.parametrize("content", [None, b"", b"foreign", b"\xff" * 100_000])
def test_no_missing_or_foreign_file_stops_the_reader(bench: Any, kit: Any, name: str, content: bytes | None):
    path = _dead_process(bench, kit)
    (path / name).unlink() if content is None else (path / name).write_bytes(content)
    (reader,) = bench.folders()

    received = kit.bodies(kit.deliver(reader))

    assert received == [body for body in _SENT if body in received]
    assert kit.traces(reader).is_balanced
    assert kit.traces(reader).in_spool == 0
    assert reader.is_drained


@pytest.mark.usefixtures("form")
def test_a_missing_segment_is_a_counted_loss(bench: Any, kit: Any):
    sent = [b"%03d" % number + b"x" * 1000 for number in range(30)]
    path = _dead_process(bench, kit, sent)
    (path / "00000002.seg").unlink()
    (reader,) = bench.folders()

    received = kit.bodies(kit.deliver(reader))
    ledger = kit.traces(reader)

    assert received[:3] == sent[:3]
    assert received[-1] == sent[-1]
    assert ledger == Ledger(30, len(received), 0, {Reason.DAMAGED: 30 - len(received)})


@pytest.mark.usefixtures("form")
def test_a_damaged_segment_is_put_aside_when_it_is_read(bench: Any, kit: Any):
    sent = [b"%03d" % number + b"x" * 1000 for number in range(30)]
    path = _dead_process(bench, kit, sent)
    _flip(path / "00000001.seg", 3, 3)
    (reader,) = bench.folders()

    received = kit.bodies(kit.deliver(reader))
    (aside,) = (bench.directory / "v1" / "quarantine").iterdir()

    assert received == sent
    assert aside.name.endswith("-00000001.seg")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", None])
def test_a_description_that_is_damaged_is_read_from_its_copy(bench: Any, kit: Any, damage: bytes | None):
    path = _dead_process(bench, kit)
    before = ProcessFolder(path).description
    (path / "process.json").unlink()
    if damage is not None:
        (path / "process.json").write_bytes(damage)
    assert (before.pid > 0, ProcessFolder(path).description) == (True, before)


def test_a_record_that_was_being_written_when_it_was_looked_at_is_read(
    bench: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
):
    stream = bench.spool().stream(kit.key)
    for record in (b"one", b"two", b"three"):
        stream.append(record)
    reader = bench.folder()
    read = reader.read_segment
    looks: list[int] = []

    def half_written(number: int, offset: int, size: int) -> bytes | None:
        data = read(number, offset, size)
        if not data or looks:
            return data
        looks.append(offset)
        third = data.rfind(layout.RECORD_MAGIC_BYTES)
        second = data.rfind(layout.RECORD_MAGIC_BYTES, 0, third)
        return data[: second + 4] + bytes(len(data) - second - 4)  # the length is stored last

    monkeypatch.setattr(reader, "read_segment", half_written)
    (track,) = [one for one in reader.tracks() if one.signal == "traces"]
    entries = [*track.read()]
    track.acknowledge(entries, len(entries), {})
    entries += track.read()
    assert ([entry.body for entry in entries][:3], track.ledger().dropped) == ([b"one", b"two", b"three"], {})
