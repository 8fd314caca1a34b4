"""The tap that makes profiles of samples: it runs in the agent, so that no process of the user's pays for it.

A captured trace becomes a profile at once, a continuous one each minute. Every profile is a file beside the
spool; where its process wants that, it is sent as OTLP too.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch

from tickspan.analysis.profiles import Profile
from tickspan.profiler.records import Chunk, Minute, parse, profile_of
from tickspan.profiler.regressing import regression_record
from tickspan.profiler.shelf import Shelf
from tickspan.profiler.versions import Versions
from tickspan.recording import diagnostics
from tickspan.semconv import profiler as names

__all__ = ["NAME", "ProfileTap"]

NAME: Final = "profiles"
"""Of the tap, in the group `tickspan_tap`."""
_SAMPLES: Final[Signal] = "samples"
_PROFILES: Final[Signal] = "profiles"
_SILENT_S: Final = 15.0
"""A minute to which nothing came for so long after its end is over."""
_MINUTE_S: Final = 60.0
_MOST_PROCESSES: Final = 256
_MINUTE: Final = "minute"


@dataclass(slots=True)
class _Open:
    """A minute that is being put together."""

    minute: Minute
    stream: StreamKey
    ends_at_s: float


class ProfileTap:
    """Makes profiles of the samples of every process that asks for it."""

    sees_all = True
    """No record is skipped to save CPU time: it waits in the spool instead."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
        draw_id: Callable[[], bytes] = lambda: secrets.token_bytes(16),
    ) -> None:
        """`home` is the spool's folder."""
        del environ  # each process has said what it wants
        self._shelf = Shelf(home)
        self._versions = Versions(home)
        self._monotonic = monotonic
        self._draw_id = draw_id
        self._open: dict[str, _Open] = {}
        self._has_told: set[str] = set()

    def __repr__(self) -> str:
        return f"<ProfileTap with {len(self._open)} minutes under way>"

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Samples of a process."""
        if batch.signal != _SAMPLES:
            return None
        return [record for entry in batch.entries for record in self._on_entry(batch.process, entry)]

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """Minutes that are over although no sample of the next has come."""
        del now_s  # the agent's clock is ours
        now_s = self._monotonic()
        over = [process for process, one in self._open.items() if one.ends_at_s + _SILENT_S <= now_s]
        return [record for process in over for record in self._finish(process)]

    def on_end(self, end: ProcessEnd) -> Iterable[Record] | None:
        """What a process has left of its last minute."""
        return list(self._finish(end.process))

    def close(self) -> None:
        """The agent ends: what it has is kept as files, since nothing is sent any more."""
        for process in tuple(self._open):
            list(self._finish(process))

    def _on_entry(self, process: str, entry: Entry) -> Iterator[Record]:
        try:
            chunk = parse(bytes(entry.body))
        except ValueError as error:
            self._tell_once("record", f"samples of {process} cannot be read and are left out: {error}")
            return
        if chunk.captured is not None:
            comments = {
                names.PROFILE_ID: chunk.captured.profile_id,
                names.PROFILE_REASON: chunk.captured.reason,
                names.PROFILE_SPAN_NAME: chunk.captured.span_name,
            }
            kind, profile_id = chunk.captured.reason, bytes.fromhex(chunk.captured.profile_id)
            yield from self._put(process, entry.stream, chunk, profile_of(chunk), kind, profile_id, comments)
            return
        known = self._open.get(process)
        if known is not None and known.minute.started_unix_ns != chunk.started_unix_ns:
            yield from self._finish(process)
        yield from self._continue(process, entry.stream, chunk)

    def _continue(self, process: str, stream: StreamKey, chunk: Chunk) -> Iterator[Record]:
        """One more part of a minute."""
        known = self._open.get(process)
        if known is None:
            if len(self._open) >= _MOST_PROCESSES:
                yield from self._finish(next(iter(self._open)))
            known = self._open[process] = _Open(Minute.of(chunk), stream, self._monotonic() + _MINUTE_S)
        known.minute.add(chunk)

    def _finish(self, process: str) -> Iterator[Record]:
        """The minute of this process is over, if there is one."""
        known = self._open.pop(process, None)
        if known is not None:
            minute = known.minute
            yield from self._put(
                process, known.stream, minute, minute.profile(), _MINUTE, self._draw_id(), {}
            )

    def _put(
        self,
        process: str,
        stream: StreamKey,
        of: Chunk | Minute,
        profile: Profile,
        kind: str,
        profile_id: bytes,
        comments: Mapping[str, str],
    ) -> Iterator[Record]:
        name = str(of.pid) if kind == _MINUTE else profile_id.hex()
        try:
            self._shelf.put(profile, kind, name, comments)
        except OSError as error:
            self._tell_once("file", f"a profile cannot be kept: {error}")
        if kind == _MINUTE:
            yield from self._slower(process, stream, profile)
        if of.about.is_exported:
            yield from self._sent(process, stream, profile, profile_id)

    def _sent(self, process: str, stream: StreamKey, profile: Profile, profile_id: bytes) -> Iterator[Record]:
        from tickspan.profiler.encoding import otlp  # protobuf: only where profiles are sent

        if not otlp.is_supported():
            self._tell_once(
                "otlp", "not sent: the installed opentelemetry-proto has other messages than 1.10"
            )
            return
        key = StreamKey(_PROFILES, stream.resource, stream.scope)
        for request in otlp.requests(profile, stream.resource, profile_id):
            yield Record(process, key, request)

    def _slower(self, process: str, stream: StreamKey, profile: Profile) -> Iterator[Record]:
        """An event for each function that became slower with a version."""
        try:
            found = self._versions.note(profile)
        except OSError as error:
            self._tell_once("versions", f"what versions spend their time on cannot be kept: {error}")
            return
        for one in found:
            yield Record(process, StreamKey("logs", stream.resource, stream.scope), regression_record(one))

    def _tell_once(self, kind: str, told: str) -> None:
        if kind not in self._has_told:
            self._has_told.add(kind)
            diagnostics.warning("profiles: %s", told)
