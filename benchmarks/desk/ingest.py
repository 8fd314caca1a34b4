"""Ingest: spans a second and core, over HTTP, until they can be read; and what they take on the disk."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tickspan_desk.store import Store, Window
from tickspan_spool.receiver import Receiver
from tickspan_spool.twins import implementation

from benchmarks.desk.scale import Place
from benchmarks.desk.traffic import IN_TRACE, SPANS, requests
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target

_WANTED_PER_S = 40_000
_WANTED_BYTES = 250
_EVERYTHING = Window(0, 1 << 62)


@dataclass(frozen=True, slots=True)
class Round:
    """One sender's requests, from the first byte until all of it can be read."""

    spans: int
    cpu_s: float
    wall_s: float
    wire_bytes: int
    body_bytes: int
    file_bytes: int
    fault: str


def ingested(place: Place, progress: Progress) -> Section:
    """Take in what a process sends, and read all of it back."""
    rounds: list[Round] = []
    for number in range(place.scale.rounds):
        progress(f"round {number + 1} of {place.scale.rounds}")
        rounds.append(_round(place, number + 1))
    per_s = [told.spans / told.cpu_s for told in rounds]
    on_disk = [told.file_bytes / told.spans for told in rounds]
    rows = tuple(
        (
            str(number),
            f"{told.spans:,}",
            f"{told.spans / told.cpu_s:,.0f}",
            f"{told.cpu_s / told.spans * 1e6:.1f}",
            f"{told.spans / told.wall_s:,.0f}",
            f"{told.wire_bytes / told.spans:.0f}",
            f"{told.body_bytes / told.spans:.0f}",
            f"{told.file_bytes / told.spans:.0f}",
        )
        for number, told in enumerate(rounds, 1)
    )
    columns = (
        "round",
        "spans",
        "spans/s and core",
        "µs of CPU a span",
        "spans/s by the clock",
        "bytes a span, gzip",
        "decoded",
        "on the disk",
    )
    note = (
        f"Hot modules: {implementation()}. Requests of {SPANS} spans, {SPANS // IN_TRACE} traces and orders "
        "each; protobuf with gzip over one connection from another process. CPU: all threads of the "
        "receiving process, for HTTP, inflating, scanning, decoding, compressing, indexing and committing."
    )
    return Section(
        "ingest",
        (Table("Taking in spans", columns, rows, note),),
        (
            Target(
                "spans a second and core over HTTP, readable",
                "desk",
                f"≥ {_WANTED_PER_S:,}",
                f"{median(per_s):,.0f}",
                median(per_s) >= _WANTED_PER_S,
            ),
            Target(
                "bytes a span on the disk, index included",
                "desk",
                f"≤ {_WANTED_BYTES}",
                f"{median(on_disk):.0f}",
                median(on_disk) <= _WANTED_BYTES,
            ),
        ),
        tuple(told.fault for told in rounds if told.fault),
        {"rounds": [asdict(told) for told in rounds]},
    )


def _round(place: Place, seed: int) -> Round:
    count, start_ns = place.scale.requests, time.time_ns()
    path = place.folder / f"ingest-{seed}.sqlite"
    with Store(path, max_bytes=4 << 30) as store, Receiver(store.take) as receiver:
        words = [str(Path(__file__).with_name("traffic.py")), receiver.endpoint.rpartition(":")[2]]
        sender = subprocess.Popen(
            [sys.executable, *words, str(count), str(seed), str(start_ns)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with sender:
            assert sender.stdin is not None
            assert sender.stdout is not None
            wire_bytes = int(sender.stdout.readline().split()[1])
            cpu_s, wall_s = time.process_time(), time.monotonic()
            sender.stdin.write("\n")
            sender.stdin.flush()
            accepted = int(sender.stdout.readline().split()[1])
            store.settle()
            cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - wall_s
        told = store.statistics()
        bodies = [body for _, body in store.batches(_EVERYTHING)]
        is_same = bodies == list(requests(count, seed, start_ns, 1_000_000))
    fault = ""
    if accepted != count or told.spans != count * SPANS or not is_same:
        fault = f"round {seed}: {count} requests sent, {accepted} taken, {told.spans} spans, same: {is_same}"
    file_bytes = path.stat().st_size
    path.unlink()
    return Round(told.spans, cpu_s, wall_s, wire_bytes, sum(map(len, bodies)), file_bytes, fault)
