"""The tap that writes log files: it runs in the agent, the one writer for all processes of a service."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch

from tickspan.logs.chain import Chain
from tickspan.logs.claim import Claim
from tickspan.logs.codec import best
from tickspan.logs.files import LogFiles
from tickspan.logs.handover import Wish, wish_of
from tickspan.logs.line import Source, encoded, lines_of
from tickspan.logs.reading import last_audit_line
from tickspan.logs.times import time_text
from tickspan.recording import Guard, diagnostics
from tickspan.recording.wire import encode_log, encode_scope
from tickspan.semconv import logs as names

__all__ = ["NAME", "LogTap"]

NAME: Final = "logs"
"""Of the tap, in the group `tickspan_tap`."""
_SCOPE: Final = encode_scope("tickspan.logs", "", {})
_WITNESS_EVERY_S: Final = 60.0
_TIDY_EVERY_S: Final = 5.0
_LOOK_EVERY_S: Final = 1.0
_LOGS: Final[Signal] = "logs"
_MAX_PROCESSES: Final = 4096
_INFO: Final = 9
_WARN: Final = 13
_HELD_S: Final = 300.0
"""How long the spool keeps what no disk takes; after that lines wait in memory, up to a bound."""
_NO_KEY: Final = (0, 0)


@dataclass(slots=True)
class _Ledger:
    """What stands in one kind of file of a desk: the last number of each process."""

    files: LogFiles
    before: dict[str, int] | None = None
    """As the files told at the start: after a crash the last batches come again."""
    written: dict[str, int] = field(default_factory=dict[str, int])

    def last_of(self, process: str) -> int:
        """Number of the last record that is written, or -1."""
        known = self.written.get(process)
        if known is None:
            if self.before is None:
                self.before = self.files.last_numbers()
            if len(self.written) >= _MAX_PROCESSES:
                del self.written[next(iter(self.written))]
            known = self.written[process] = self.before.get(process, -1)
        return known


@dataclass(slots=True)
class _Desk:
    """The files of one folder and prefix."""

    wish: Wish
    plain: _Ledger
    audit: _Ledger
    chain: Chain | None = None
    key_stamp: tuple[int, int] | None = None
    told_link: int = 0
    told_path: Path | None = None
    witness_at_s: float = 0.0
    about: tuple[str, StreamKey] | None = None
    behind_since_s: float | None = None
    unread: int = 0

    @property
    def files(self) -> tuple[LogFiles, LogFiles]:
        """Both kinds."""
        return self.plain.files, self.audit.files


class LogTap:
    """Writes each log record of processes that want files. Nothing of it waits for a compression."""

    sees_all = True
    """No record is skipped to save CPU time: it waits in the spool instead."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        mark: str = "",
    ) -> None:
        """`home` is the spool's folder, where processes say what they want.

        `mark` is added to the prefix of a writer that is not the only one of its service.
        """
        del environ  # each process has said what it wants
        self._home = home
        self._wall = wall
        self._monotonic = monotonic
        self._mark = mark
        self._source = Source()
        self._wishes: dict[str, tuple[float, Wish | None]] = {}
        self._desks: dict[tuple[Path, str], _Desk] = {}
        self._tidy_at_s = monotonic() + _TIDY_EVERY_S
        self._tidying: threading.Thread | None = None
        self._untidy = ""
        self._guard = Guard("thread", "log files")

    def __repr__(self) -> str:
        return f"<LogTap {len(self._desks)} folders>"

    @classmethod
    def in_process(cls, home: Path) -> LogTap:
        """For a process that has no agent: files of its own, told apart by its number."""
        best()  # imported now: the caller sees to it that nobody forks meanwhile
        return cls(home, mark=f".{os.getpid()}")

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Write log records."""
        if batch.signal != _LOGS:
            return None
        wish = self._wish(batch.service_name)
        if wish is None:
            return None
        desk = self._desk(wish)
        desk.about = (batch.process, batch.entries[-1].stream)
        if desk.plain.last_of(batch.process) < 0 and desk.audit.last_of(batch.process) < 0:
            desk.plain.files.begin_session()
        entries = [entry for entry in batch.entries if entry.stream.scope != _SCOPE]  # not what we have told
        self._write(desk, batch.process, entries)
        return None

    def is_behind(self, service_name: str) -> bool:
        """Whether lines of this service wait for a disk: what comes next is to wait in the spool.

        Not for ever: the spool is everybody's. Audit records wait as long as it takes.
        """
        wish = self._wish(service_name)
        desk = None if wish is None else self._desks.get(self._place(wish))
        if desk is None or desk.behind_since_s is None:
            return False
        if desk.audit.files.statistics().waiting:
            return True
        return self._monotonic() - desk.behind_since_s < _HELD_S

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """Try again what no disk took; tidy up; tell the heads of chains."""
        del now_s  # the agent's clock is ours
        now_s = self._monotonic()
        records: list[Record] = []
        for desk in self._desks.values():
            self._flush(desk)
            records += self._lost(desk)
            records += self._witness(desk, now_s)
        if now_s >= self._tidy_at_s and (self._tidying is None or not self._tidying.is_alive()):
            self._tidy_at_s = now_s + _TIDY_EVERY_S
            self._tidying = threading.Thread(target=self._tidy, name="tickspan-log-files", daemon=True)
            self._tidying.start()
        return records

    def on_end(self, end: ProcessEnd) -> Iterable[Record] | None:
        """A process has ended: the head that it has left is told at once, for no other may come."""
        wish = self._wish(end.service_name)
        desk = None if wish is None else self._desks.get(self._place(wish))
        if desk is None or desk.about is None or desk.about[0] != end.process:
            return None
        desk.witness_at_s = 0.0
        return self._witness(desk, self._monotonic())

    def close(self) -> None:
        """The agent ends."""
        if self._tidying is not None:
            self._tidying.join(1.0)
        for desk in self._desks.values():
            for files in desk.files:
                files.close()
            desk.plain.files.claim.give_up()

    def _wish(self, service: str) -> Wish | None:
        now_s = self._monotonic()
        known = self._wishes.get(service)
        if known is None or now_s - known[0] >= _LOOK_EVERY_S:
            known = self._wishes[service] = (now_s, wish_of(self._home, service))
        return known[1]

    def _place(self, wish: Wish) -> tuple[Path, str]:
        return wish.rules.directory, wish.rules.prefix

    def _desk(self, wish: Wish) -> _Desk:
        """Of this folder and prefix, whoever wants it, with the rules that were wished last."""
        place = self._place(wish)
        desk = self._desks.get(place)
        if desk is None:
            claim = Claim(wish.rules.directory, wish.rules.prefix + self._mark)
            desk = self._desks[place] = _Desk(
                wish,
                _Ledger(LogFiles(wish.rules, self._wall, claim)),
                _Ledger(LogFiles(wish.audit_rules, self._wall, claim)),
            )
        elif desk.wish != wish:
            desk.wish = wish
            desk.plain.files.rules, desk.audit.files.rules = wish.rules, wish.audit_rules
        return desk

    def _write(self, desk: _Desk, process: str, entries: Iterable[Entry]) -> None:
        plain: list[bytes] = []
        audit: list[bytes] = []
        for number, line in self._lines(desk, process, entries):
            ledger, lines = (desk.audit, audit) if "audit" in line else (desk.plain, plain)
            if number <= ledger.last_of(process):
                continue
            lines.append(self._chain(desk).add(line) if ledger is desk.audit else encoded(line))
            ledger.written[process] = number
        if plain:
            desk.plain.files.write(plain)
        if audit:
            desk.audit.files.write(audit)
        self._note_waiting(desk)

    def _lines(
        self, desk: _Desk, process: str, entries: Iterable[Entry]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """What can be read; the rest is counted."""
        for entry in entries:
            try:
                yield from lines_of(process, entry, self._source)
            except DecodeError:
                desk.unread += entry.items

    def _flush(self, desk: _Desk) -> None:
        for files in desk.files:
            files.flush()
        self._note_waiting(desk)

    def _note_waiting(self, desk: _Desk) -> None:
        is_waiting = any(files.statistics().waiting for files in desk.files)
        if not is_waiting:
            desk.behind_since_s = None
        elif desk.behind_since_s is None:
            desk.behind_since_s = self._monotonic()

    def _chain(self, desk: _Desk) -> Chain:
        """The chain as it stands in the files, with the key as it is now."""
        path = desk.wish.key_file
        if desk.chain is None:
            desk.chain = Chain()
            last = last_audit_line(desk.wish.rules.directory, desk.audit.files.prefix)
            if last is not None:
                desk.chain.resume(last)
                desk.told_link = desk.chain.link
        if path is not None:
            try:
                found = path.stat()
                stamp = (found.st_mtime_ns, found.st_ino)
                if stamp != desk.key_stamp:
                    desk.chain.key = path.read_bytes().strip()
                    desk.key_stamp = stamp
            except OSError as error:
                if desk.key_stamp != _NO_KEY:
                    desk.key_stamp = _NO_KEY
                    diagnostics.warning("logs: the key of the audit chain cannot be read: %s", error.strerror)
        return desk.chain

    def _lost(self, desk: _Desk) -> list[Record]:
        """A line in place of those that are lost, and the same for the collector."""
        records: list[Record] = []
        unread, desk.unread = desk.unread, 0
        no_room = sum(files.take_lost() for files in desk.files)
        for count, why in ((no_room, "the disk took none"), (unread, "they cannot be read")):
            if count:
                message = f"{count:,} lines were lost: {why}"
                line = {
                    "time": time_text(round(self._wall() * 1e9)),
                    "level": "WARN",
                    "severity": _WARN,
                    "logger": "tickspan.logs",
                    "event": names.LOG_DROPPED,
                    "message": message,
                    "fields": {"count": count},
                }
                desk.plain.files.write([encoded(line)])
                records += self._told(desk, _WARN, "WARN", message, {"count": count}, names.LOG_DROPPED)
        return records

    def _witness(self, desk: _Desk, now_s: float) -> list[Record]:
        """The chain's head as a record: each minute in which it has grown, and where a file is full."""
        chain, path = desk.chain, desk.audit.files.path
        if chain is None or chain.link == desk.told_link or desk.audit.files.statistics().waiting:
            return []
        if now_s < desk.witness_at_s and path == desk.told_path:
            return []
        desk.told_link, desk.told_path = chain.link, path
        desk.witness_at_s = now_s + _WITNESS_EVERY_S
        attributes = {
            names.TICKSPAN_AUDIT_CHAIN_LINK: chain.link,
            names.TICKSPAN_AUDIT_CHAIN_HEAD: chain.head,
        }
        said = f"{desk.audit.files.prefix} {chain.link}:{chain.head}"
        return self._told(desk, _INFO, "INFO", said, attributes, names.EVENT_AUDIT_CHAIN)

    def _told(
        self, desk: _Desk, severity: int, level: str, text: str, attributes: dict[str, Any], event: str
    ) -> list[Record]:
        if desk.about is None:
            return []
        process, stream = desk.about
        now_ns = round(self._wall() * 1e9)
        body = encode_log(now_ns, now_ns, severity, level, text, attributes, 0, 0, 0, 0, event)
        key = StreamKey(_LOGS, stream.resource, _SCOPE, stream.resource_schema_url, "")
        return [Record(process, key, body)]

    def _tidy(self) -> None:
        """In a thread of its own, with little claim on the CPU."""
        self._guard.own(_be_nice, default=None)
        for desk in list(self._desks.values()):
            for files in desk.files:
                self._guard.own(partial(self._tidy_up, files), default=None)

    def _tidy_up(self, files: LogFiles) -> None:
        """All full files; a reason why not is told once, and it is tried again."""
        try:
            while files.tidy():
                pass
            self._untidy = ""
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._untidy:
                self._untidy = reason
                diagnostics.warning("logs: full files stay as they are: %s", reason)


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
