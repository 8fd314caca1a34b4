"""What the agent keeps for those who look on, and what it does not: with folders on disk and no agent."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tickspan_spool.agent.guest import Guest, PageView
from tickspan_spool.agent.viewing import LOOK_EVERY_S as LOOK_S
from tickspan_spool.agent.viewing import STUCK_S, Viewing, deliver_to
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import Destination, Verdict
from tickspan_spool.spool import Spool, SpoolPlan
from tickspan_spool.viewers import register, this_process, unregister

_NAME = "0123456789abcdef"
_KEY = StreamKey("traces", b"", b"")
_SEGMENT = 16 << 10
_RECORD = b"\x12\x7e" + b"x" * 126
_IN_A_SEGMENT = 90


def _folder(directory: Path) -> ProcessFolder:
    (folder,) = SpoolDirectory(directory).folders()
    assert folder.claim()
    return folder


def _plan(directory: Path, *destinations: Destination) -> SpoolPlan:
    return SpoolPlan(
        directory, segment_bytes=_SEGMENT, agent="off", destinations=destinations, service_name="bot"
    )


_COLLECTOR = Destination("traces", "http://127.0.0.1:9/v1/traces")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A process that has filled several segments and has a destination."""
    spool = Spool(_plan(tmp_path, _COLLECTOR))
    for _ in range(_IN_A_SEGMENT * 8):
        spool.stream(_KEY).append(_RECORD)
    yield spool
    spool.stop()


def _written(folder: ProcessFolder) -> list[int]:
    """Its segments, but for one that is made ahead."""
    return [number for number in folder.segments() if number <= folder.page().segment]


def _deliver_all(folder: ProcessFolder) -> None:
    track = folder.track("traces", 0)
    while entries := track.read():
        track.acknowledge(entries, len(entries), {})


@pytest.mark.usefixtures("spool")
def test_delivered_segments_stay_for_a_viewer_but_only_the_last_of_them(tmp_path: Path):
    folder = _folder(tmp_path)
    folder.viewer_track("traces", _NAME)
    _deliver_all(folder)
    held = _written(folder)
    folder.forget_viewer(_NAME)
    last = folder.page().segment
    assert (held, _written(folder)) == (list(range(last - 4, last + 1)), [last])


@pytest.mark.usefixtures("spool")
def test_a_viewer_that_comes_late_sees_what_is_still_there(tmp_path: Path):
    folder = _folder(tmp_path)
    _deliver_all(folder)
    track, seen = folder.viewer_track("traces", _NAME), 0
    while entries := track.read():
        seen += len(entries)
        track.acknowledge(entries, len(entries), {})
    assert 0 < seen < _IN_A_SEGMENT * 2


@pytest.mark.usefixtures("spool")
def test_what_a_viewer_refuses_is_neither_a_loss_nor_in_the_ledger(tmp_path: Path):
    folder = _folder(tmp_path)
    track = folder.viewer_track("traces", _NAME)
    entries = track.read()
    track.acknowledge(entries, 0, {Reason.REFUSED: len(entries)})
    total = _IN_A_SEGMENT * 8
    assert folder.ledger()["traces"] == Ledger(total, 0, total)
    assert (sum(map(sum, folder.page().agent_drops)), folder.is_drained) == (0, False)


def test_a_flight_recorder_keeps_what_a_viewer_has_seen(tmp_path: Path):
    spool = Spool(_plan(tmp_path))
    for _ in range(_IN_A_SEGMENT * 3):
        spool.stream(_KEY).append(_RECORD)
    folder = _folder(tmp_path)
    before, track = _written(folder), folder.viewer_track("traces", _NAME)
    while entries := track.read():
        track.acknowledge(entries, len(entries), {})
    spool.stop()
    assert (len(before) >= 3, _written(folder)) == (True, before)


class _Way:
    """In place of a delivery: takes everything, or nothing."""

    def __init__(self) -> None:
        self.taken: list[Entry] = []
        self.is_well = True

    def attempt(self, entries: Sequence[Entry], timeout_s: float | None = None) -> Verdict:
        if not self.is_well:
            return Verdict(is_done=False, wait_s=0.01, explanation="it does not answer")
        self.taken += entries
        return Verdict(is_done=True, delivered=len(entries))

    def close(self) -> None:
        pass


class _Stage:
    """Viewing with a clock of its own and ways that are looked into."""

    def __init__(self, directory: Path) -> None:
        self.now_s = 0.0
        self.ways: list[tuple[Destination, _Way]] = []
        self.is_well = True
        self.viewing = Viewing(directory, self._open, lambda: self.now_s)

    def _open(self, destination: Destination) -> _Way:
        way = _Way()
        way.is_well = self.is_well
        self.ways.append((destination, way))
        return way

    def look(self, *guests: Guest, after_s: float = LOOK_S) -> None:
        self.now_s += after_s
        self.viewing.look(guests)
        self.viewing.poke()

    def has_shown_all(self, guest: Guest) -> bool:
        self.viewing.poke()
        return self.viewing.has_shown_all(guest)

    def shown(self) -> Mapping[str, int]:
        return {destination.url: len(way.taken) for destination, way in self.ways}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[_Stage]:
    stage = _Stage(tmp_path)
    yield stage
    stage.viewing.stop(2.0)


def _guest(folder: ProcessFolder, *destinations: Destination) -> Guest:
    return Guest(folder, destinations, is_own=False, page=PageView(folder))


def _wait(claim: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def _dead(directory: Path) -> ProcessFolder:
    """The folder of a process that recorded and ended."""
    program = (
        "import sys; from pathlib import Path\n"
        "from tickspan_spool.entries import StreamKey\n"
        "from tickspan_spool.spool import Spool, SpoolPlan\n"
        "spool = Spool(SpoolPlan(Path(sys.argv[1]), agent='off', service_name='bot'))\n"
        "for signal in ('traces', 'metrics', 'logs'):\n"
        "    spool.stream(StreamKey(signal, b'', b'')).append(b'\\x12\\x00')\n"
        "spool.stop()\n"
    )
    subprocess.run([sys.executable, "-c", program, str(directory)], check=True)
    return _folder(directory)


def test_a_dead_process_waits_until_every_viewer_has_seen_all_of_it(tmp_path: Path, stage: _Stage):
    guest = _guest(_dead(tmp_path))
    register(tmp_path, this_process(_NAME, "http://127.0.0.1:4318"))
    stage.look(guest)
    _wait(lambda: stage.has_shown_all(guest))
    assert stage.shown() == {
        f"http://127.0.0.1:4318/v1/{signal}": 1 for signal in ("traces", "metrics", "logs")
    }


def test_nobody_waits_for_a_viewer_that_does_not_answer(tmp_path: Path, stage: _Stage):
    stage.is_well = False
    guest = _guest(_dead(tmp_path))
    register(tmp_path, this_process(_NAME, "http://127.0.0.1:4318"))
    stage.look(guest)
    _wait(lambda: all(seat.is_stuck for seat in stage.viewing._seats.values()))
    stage.look(guest)
    waited = stage.viewing.has_shown_all(guest)
    stage.look(guest, after_s=STUCK_S + 1)
    assert (waited, stage.viewing.has_shown_all(guest), guest.folder._viewed) == (False, True, {})


def test_a_viewer_that_comes_again_goes_on_where_it_was(tmp_path: Path, stage: _Stage):
    guest = _guest(_dead(tmp_path))
    viewer = this_process(_NAME, "http://127.0.0.1:4318")
    register(tmp_path, viewer)
    stage.look(guest)
    _wait(lambda: stage.has_shown_all(guest))
    unregister(tmp_path, viewer)
    stage.look(guest)
    register(tmp_path, replace(viewer, endpoint="http://127.0.0.1:4319"))
    stage.look(guest)
    _wait(lambda: stage.has_shown_all(guest))
    again = {url: count for url, count in stage.shown().items() if ":4319" in url}
    assert (set(again.values()), stage.viewing.arrivals) == ({0}, 2)


def test_what_a_viewer_was_shown_that_keeps_nothing_is_forgotten_with_it(tmp_path: Path, stage: _Stage):
    guest = _guest(_dead(tmp_path))
    viewer = this_process(_NAME, "http://127.0.0.1:4318", is_lasting=False)
    register(tmp_path, viewer)
    stage.look(guest)
    _wait(lambda: stage.has_shown_all(guest))
    kept = sorted(path.name for path in guest.folder.path.glob("*.ack"))
    unregister(tmp_path, viewer)
    stage.look(guest)
    assert kept == [f"{signal}-{_NAME}.ack" for signal in ("logs", "metrics", "traces")]
    assert list(guest.folder.path.glob("*.ack")) == []


def test_what_a_process_sends_to_the_viewer_itself_is_not_shown_twice(tmp_path: Path, stage: _Stage):
    guest = _guest(_dead(tmp_path), Destination("traces", "http://localhost:4318/v1/traces"))
    register(tmp_path, this_process(_NAME, "http://127.0.0.1:4318"))
    stage.look(guest)
    _wait(lambda: stage.has_shown_all(guest))
    assert stage.shown() == {
        "http://127.0.0.1:4318/v1/traces": 0,
        "http://127.0.0.1:4318/v1/metrics": 1,
        "http://127.0.0.1:4318/v1/logs": 1,
    }


def test_a_viewer_is_reached_without_the_proxies_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(os.environ, "HTTP_PROXY", "http://192.0.2.7:3128")
    delivery = deliver_to(Destination("traces", "http://127.0.0.1:9/v1/traces"))
    verdict = delivery.attempt([Entry(_KEY, _RECORD, 1, 0)])
    delivery.close()
    assert "connecting to 127.0.0.1" in verdict.explanation
