"""Spool: where the recording side puts what ended; on disk at once, so that no death of it loses any."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from ._impl import segment
from .entries import Signal, StreamKey
from .fork import fork
from .home import FORMAT_FOLDER, HomePlan
from .keeper import Keeper
from .layout import (
    CODE_OF_SIGNAL,
    REASON_ROOM,
    SIGNALS,
    WORD_DROPS,
    WORD_ENDED,
    WORD_HANDED,
    WORD_RINGED,
    Acknowledgement,
    PageCounts,
    by_reason,
    pack_stream_key,
    parse_acknowledgement,
)
from .ledger import balance
from .reasons import REASONS, Reason
from .ring_track import RingTrack
from .stock import Stock
from .track import TAP_TRACK

if TYPE_CHECKING:
    from .segment import Stream
    from .sender import Destination
    from .thread_sender import Store, ThreadSender

AgentMode = Literal["auto", "off", "thread", "external"]
_AGENT_MODES: Final[Mapping[str, AgentMode]] = {"off": "off", "thread": "thread", "external": "external"}
_MIB: Final = 1 << 20
_LOCK_WAIT_S: Final = 0.5
_HURRY_S: Final = 0.2
_FIRST_POLL_S: Final = 0.001
_LONGEST_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class SpoolPlan:
    """How a process spools.

    Attributes:
        directory: the spool; every process of a user may share it.
        max_bytes: what all of it may take; the oldest segments go first.
        segment_bytes: size of a segment; a record is at most this large.
        ring_records: bound of the memory that is used while no disk takes records.
        fsync: "interval" lets the agent write segments through to the disk once a second.
        agent: "auto" starts an agent when none runs; "external" expects one; "thread" sends from a thread of
            this process; "off" sends nothing.
        destinations: where records go.
        taps: names of the taps that the agent shall run.
        thread_taps: those that a thread of this process runs where no agent does; they see log records.
        viewed_taps: taps that an agent runs as long as there is a viewer; no agent is started for them.
        service_name: for people who look at the spool.
    """

    directory: Path
    max_bytes: int = 512 * _MIB
    segment_bytes: int = 8 * _MIB
    ring_records: int = 20_000
    fsync: Literal["off", "interval"] = "off"
    agent: AgentMode = "auto"
    destinations: tuple[Destination, ...] = ()
    taps: tuple[str, ...] = ()
    thread_taps: tuple[str, ...] = ()
    viewed_taps: tuple[str, ...] = ()
    service_name: str = ""

    @staticmethod
    def from_environment(environ: Mapping[str, str]) -> SpoolPlan:
        """As `TICKSPAN_SPOOL_DIR`, `…_MAX_BYTES`, `…_FSYNC`, `TICKSPAN_AGENT`, `OTEL_EXPORTER_OTLP_*` say.

        A value that cannot be used is taken as unset.
        """
        from .sender import destinations_from_environment  # only for those who send

        fsync = environ.get("TICKSPAN_SPOOL_FSYNC")
        return SpoolPlan(
            directory=default_directory(environ),
            max_bytes=_size_bytes(environ.get("TICKSPAN_SPOOL_MAX_BYTES", ""), 512 * _MIB),
            fsync="interval" if fsync == "interval" else "off",
            agent=_AGENT_MODES.get(environ.get("TICKSPAN_AGENT", ""), "auto"),
            destinations=destinations_from_environment(environ),
            service_name=environ.get("OTEL_SERVICE_NAME", ""),
        )

    def describe(self) -> dict[str, object]:
        """What the readers of a process's folder have to know; no header values."""
        return {
            "service_name": self.service_name,
            "destinations": [destination.to_json() for destination in self.destinations],
            "taps": list(self.taps),
            "viewed_taps": list(self.viewed_taps),
            "fsync": self.fsync,
        }


def default_directory(environ: Mapping[str, str]) -> Path:
    """`TICKSPAN_SPOOL_DIR`; else below the user's state directory, or the cache directory without one."""
    if chosen := environ.get("TICKSPAN_SPOOL_DIR"):
        return Path(chosen)
    home = Path(environ.get("HOME") or "~").expanduser()
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    is_state_usable = state.is_dir() or not cache.is_dir()
    return (state if is_state_usable else cache) / "tickspan" / "spool"


def _size_bytes(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) else default


@dataclass(frozen=True, slots=True)
class SpoolStatistics:
    """What a spool has seen in this process.

    Attributes:
        mode: "disk", or "ring" while no disk takes records.
        path: the process's folder; None before the first record.
        segments: that are there, the one prepared ahead included.
        unsent_bytes: in them, as far as they are written.
        ended: items by signal.
        waiting: items that are not acknowledged by every destination, by signal.
        dropped: items lost on the writing side, by signal and reason.
        faults: exceptions of our own that were swallowed.
    """

    mode: Literal["disk", "ring"]
    path: Path | None
    segments: int
    unsent_bytes: int
    ended: Mapping[Signal, int]
    waiting: Mapping[Signal, int]
    dropped: Mapping[Signal, Mapping[Reason, int]] = field(default_factory=dict[Signal, Mapping[Reason, int]])
    faults: int = 0


class Spool:
    """The spool of this process.

    Making one touches no file: the first record does. An unusable directory is no error; records then wait in
    memory, for a sender in this process, and the disk is tried again every second.
    """

    def __init__(self, plan: SpoolPlan) -> None:
        self.plan = plan
        home_plan = HomePlan(plan.directory, plan.segment_bytes, plan.max_bytes, plan.describe)
        self._stock = Stock(home_plan, plan.ring_records, self._wake)
        known = fork()
        self._tape = segment.Tape(self._stock, known.mark, self._stock.page, checks_pid=known.checks_pid)
        self._stock.tape = self._tape
        self._keeper = Keeper(self._stock, self._tape, self._see_to_agent, self._enforce_bound)
        self._sender: ThreadSender | None = None
        self._streams: dict[StreamKey, Stream] = {}
        self._numbers = itertools.count(1)
        known.watch(self)
        if plan.agent != "off" and (plan.destinations or plan.taps):
            _load_what_runs_later(
                sends_itself=plan.agent == "thread", taps=plan.thread_taps if plan.agent == "thread" else ()
            )

    def __repr__(self) -> str:
        now = self.statistics()
        dropped = sum(sum(reasons.values()) for reasons in now.dropped.values())
        where = f"{now.segments} segments" if now.mode == "disk" else "in memory"
        return f"<Spool {where}, {now.unsent_bytes / _MIB:.1f} MiB unsent, {dropped} dropped>"

    def prepare(self) -> None:
        """Make the folder and its first segment now, so that no record waits those milliseconds for it.

        For whoever sets recording up, before the program's own work begins. Not needed, and harmless: a
        folder in which nothing was recorded is removed at the end.
        """
        self._stock.make_ready()

    def stream(self, key: StreamKey) -> Stream:
        """Where records of this signal, resource and scope are appended; the same for an equal key."""
        found = self._streams.get(key)
        if found is None:
            number = next(self._numbers)
            made = segment.Stream(self._tape, key, number, CODE_OF_SIGNAL[key.signal], pack_stream_key(key))
            found = self._streams.setdefault(key, made)
        return found

    def drop(self, signal: Signal, reason: Reason, items: int = 1) -> None:
        """Count items that were lost before they became a record."""
        self._tape.drop(CODE_OF_SIGNAL[signal], REASONS.index(reason), items)

    def force_flush(self, timeout_s: float) -> bool:
        """Wait until what was appended so far is settled by every destination; False when time is up."""
        deadline = time.monotonic() + timeout_s
        self._tape.exclusively(_nothing, min(timeout_s, _LOCK_WAIT_S))
        targets = {code: self._counts(code).ended for code in range(len(SIGNALS))}
        if any(targets.values()):
            self._keeper.wake()
        if self._sender is not None:
            self._sender.wake()
        if self.plan.agent not in {"off", "thread"} and self.plan.destinations and any(targets.values()):
            _hurry(self.plan)
        poll_s = _FIRST_POLL_S
        while not self._is_settled(targets):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(poll_s, left_s))
            poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)
        return True

    def close(self, budget_s: float = 2.0) -> None:
        """The process ends in order: say so, and see to it that somebody has what is unsent.

        Recording still works afterwards: later exit handlers and daemon threads have their say. Waits for the
        delivery only when whoever delivers ends with us.
        """
        if self._stock.home is None and not len(self._stock.ring):
            ready, self._stock.ready = self._stock.ready, None
            if ready is not None:
                ready.discard()
            return
        deadline = time.monotonic() + budget_s
        now_ns = time.time_ns()
        self._tape.exclusively(lambda: self._tape.clean_exit(now_ns), min(budget_s, _LOCK_WAIT_S))
        with suppress(OSError):
            if self._stock.home is not None:
                self._stock.home.save_page()
        self._see_to_agent(is_last=True)
        if self._dies_with_us:
            self.force_flush(max(0.0, deadline - time.monotonic()))

    @property
    def _sends_itself(self) -> bool:
        return self._sender is not None and self._sender.reads_folder

    @property
    def _dies_with_us(self) -> bool:
        return self.plan.agent == "thread" or self._sends_itself or self._tape.is_ring or os.getpid() == 1

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close, and end our threads; the next segment starts them again."""
        self.close(0.0)
        if self._sender is not None:
            self._sender.stop(timeout_s)
        self._keeper.stop(timeout_s)

    def statistics(self) -> SpoolStatistics:
        """What it has seen so far."""
        stock = self._stock
        counts = [self._counts(code) for code in range(len(SIGNALS))]
        segments, unsent = self._sizes()
        return SpoolStatistics(
            "ring" if self._tape.is_ring else "disk",
            stock.home.path if stock.home else None,
            segments,
            unsent + stock.ring.size_bytes,
            {signal: counts[code].ended + stock.earlier_ended[code] for code, signal in enumerate(SIGNALS)},
            {signal: self._waiting(code, counts[code]) for code, signal in enumerate(SIGNALS)},
            {signal: self._dropped(code, counts[code]) for code, signal in enumerate(SIGNALS)},
            stock.faults,
        )

    def ring_track(self, signal: Signal) -> RingTrack:
        """What waits in memory, for a sender in this process."""
        return RingTrack(signal, self._stock, self._tape)

    @property
    def path(self) -> Path | None:
        """The folder of this process; None before the first record, or when no disk takes records."""
        return self._stock.home.path if self._stock.home else None

    def forget(self) -> None:
        """The process is a copy: its folder, lock, thread and parked records are the original's."""
        homes = (self._stock.home, self._stock.ready)
        self._stock.reset()
        self._tape.reset(self._stock.page)
        self._keeper.reset()
        for home in homes:
            if home is not None:
                home.leave()

    def _wake(self) -> None:
        self._keeper.wake()

    def _see_to_agent(self, *, is_last: bool = False) -> bool:
        """Have an agent; send from here what none takes: the memory, or everything where there is none.

        False while the agent is not there yet: ask again.
        """
        plan = self.plan
        if plan.agent == "off" or not (plan.destinations or plan.taps):
            return True
        has_agent = plan.agent != "thread" and _ensure_running(plan, is_last=is_last)
        if not has_agent or self._tape.is_ring:
            self._send_from_here(reads_folder=not has_agent)
        elif self._sender is not None and not len(self._stock.ring):
            self._sender.stop(0)
        return plan.agent != "auto" or (has_agent and _is_running(plan))

    def _send_from_here(self, *, reads_folder: bool) -> None:
        with fork().held_off():  # one at a time, too: the keeper and an exit handler come here
            from .thread_sender import ThreadSender  # loads HTTP: only where no agent does this

            if self._sender is None:
                store = cast("Store", self)  # a hot class has decorators that hide its type
                self._sender = ThreadSender(store, reads_folder=reads_folder)
        self._sender.reads_folder = reads_folder
        self._sender.start()

    def _enforce_bound(self) -> None:
        home = self._stock.home
        if home is not None:
            with fork().held_off():
                from .directory import SpoolDirectory  # the reading side

            SpoolDirectory(self.plan.directory).enforce_bound(home.max_bytes)

    def _counts(self, code: int) -> PageCounts:
        page = self._stock.page
        drops = WORD_DROPS + code * REASON_ROOM
        return PageCounts(
            page[WORD_ENDED + code],
            page[WORD_RINGED + code],
            page[WORD_HANDED + code],
            tuple(page[drops : drops + len(REASONS)]),
        )

    def _dropped(self, code: int, counts: PageCounts) -> dict[Reason, int]:
        earlier = self._stock.earlier_drops[code]
        return by_reason(tuple(now + before for now, before in zip(counts.drops, earlier, strict=True)))

    def _is_settled(self, targets: Mapping[int, int]) -> bool:
        """Whether everything up to these sequence numbers is settled by every destination."""
        return all(self._waiting(code, self._counts(code), ended) <= 0 for code, ended in targets.items())

    def _waiting(self, code: int, counts: PageCounts, ended: int | None = None) -> int:
        """Items that some destination has not settled; 0 when nobody wants the signal."""
        signal = SIGNALS[code]
        indices = [i for i, other in enumerate(self.plan.destinations) if other.signal == signal]
        if signal == "logs" and self.plan.thread_taps and self._sends_itself:
            indices.append(TAP_TRACK)
        since = 0 if ended is None else counts.ended - ended
        return max(
            (balance(counts, self._ack(signal, index)).in_spool - since for index in indices), default=0
        )

    def _ack(self, signal: Signal, index: int) -> Acknowledgement:
        path = self.path
        if path is not None:
            with suppress(OSError):
                return (
                    parse_acknowledgement((path / f"{signal}-{index}.ack").read_bytes()) or Acknowledgement()
                )
        return Acknowledgement()

    def _sizes(self) -> tuple[int, int]:
        """How many segments there are, and how much is written in them."""
        path = self.path
        if path is None:
            return 0, 0
        with suppress(OSError):
            names = [name for name in os.listdir(path) if name.endswith(".seg")]  # noqa: PTH208 - three times faster
            full = max(0, len(names) - 1 - len(self._stock.spares))
            return len(names), full * self.plan.segment_bytes + self._tape.position
        return 0, 0


def _load_what_runs_later(*, sends_itself: bool, taps: tuple[str, ...]) -> None:
    """Load what the keeper and exit handlers need, as far as that is known now.

    An import at exit may run `exec`, upon which Python forgets that an interrupt ended the program: its
    status would be 1 instead of the signal.
    """
    from importlib import import_module  # so that names and order do not matter

    from_here = (".thread_sender", ".sender.http_channel", "encodings.idna")
    for name in (".directory", *(from_here if sends_itself else (".liaison",))):
        import_module(name, __package__)
    if taps:
        from .taps import load  # metadata of distributions: only where taps run here

        load(taps)  # a thread could hold off a fork for a moment only


def _ensure_running(plan: SpoolPlan, *, is_last: bool) -> bool:
    with fork().held_off():
        from .liaison import ensure_running  # sockets and processes: only for those who have an agent

    return ensure_running(plan, is_last=is_last)


def _hurry(plan: SpoolPlan) -> None:
    """Have the agent look for records at once; nothing happens when there is none."""
    with fork().held_off():
        from .liaison import AgentPlaces, ask  # as above
    with suppress(OSError):
        ask(AgentPlaces.of(plan.directory).socket, {"command": "hurry"}, _HURRY_S)


def _is_running(plan: SpoolPlan) -> bool:
    """Whether the agent that `_ensure_running` hoped for is there."""
    with fork().held_off():
        from .liaison import AgentPlaces, holder  # as above
    with suppress(OSError):
        return holder(AgentPlaces.of(plan.directory)) is not None
    return False


def _nothing() -> None:
    pass


__all__ = ["FORMAT_FOLDER", "AgentMode", "Spool", "SpoolPlan", "SpoolStatistics", "default_directory"]
