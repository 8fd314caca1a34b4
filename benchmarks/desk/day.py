"""A day: traffic of 24 simulated hours, and what file and memory come to while the oldest goes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_desk.store import Store
from tickspan_spool.receiver import Batch, Signal

from benchmarks.desk.scale import Place
from benchmarks.desk.traffic import Traffic
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import ChildError

KEPT_HOURS: Final = 2
MAX_BYTES: Final = 64 << 20
EVERY_S: Final = 20
"""Between the requests of each signal."""
_SPANS, _LOGS, _POINTS = 320, 40, 100
_NOON_NS: Final = 1_795_694_400_000_000_000
_SETTLED_HOURS: Final = 4
_WANTED_GROWTH: Final = 1.2


def day(place: Place, progress: Progress) -> Section:
    """Run it in a process of its own."""
    progress(f"{place.scale.hours} hours")
    words = [sys.executable, __file__, str(place.scale.hours), str(place.folder / "day.sqlite")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ChildError(ran.stderr[-2000:])
    hours: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    step = max(1, len(hours) // 12)
    rows = tuple(
        (
            str(told["hour"]),
            f"{told['file'] / 1e6:.1f}",
            f"{told['wal'] / 1e6:.1f}",
            f"{told['rss'] / 1e6:.0f}",
            f"{told['spans']:,}",
            f"{told['logs']:,}",
            f"{told['points']:,}",
            f"{told['evicted']:,}",
        )
        for told in hours[step - 1 :: step]
    )
    settled = hours[min(_SETTLED_HOURS, len(hours)) - 1]
    growth = {name: max(told[name] for told in hours) / settled[name] for name in ("file", "rss")}
    largest = max(told["file"] for told in hours)
    longest_s = max(told["longest_s"] for told in hours)
    return Section(
        "day",
        (
            Table(
                f"{len(hours)} simulated hours, {KEPT_HOURS} of them kept, at most {MAX_BYTES >> 20} MiB",
                ("hour", "file, MB", "journal, MB", "RSS, MB", "spans", "logs", "points", "gone so far"),
                rows,
                f"Every {EVERY_S} simulated seconds a request of {_SPANS} spans, one of {_LOGS} log records "
                f"and one of {_POINTS} points, committed before the next. Took {hours[-1]['took_s']:.0f} s.",
            ),
        ),
        (
            Target(
                "the file, at its largest",
                "desk",
                f"≤ {MAX_BYTES >> 20} MiB",
                f"{largest / (1 << 20):.0f} MiB",
                largest <= MAX_BYTES,
            ),
            *(
                Target(
                    f"{name} at its largest, beside that of hour {settled['hour']}",
                    "desk",
                    f"≤ {_WANTED_GROWTH}x",
                    f"{growth[key]:.2f}x",
                    growth[key] <= _WANTED_GROWTH,
                )
                for name, key in (("the file", "file"), ("RSS", "rss"))
            ),
            Target(
                "longest time until a request can be read, retention included",
                "desk",
                "≤ 1 s",
                f"{longest_s * 1e3:.0f} ms",
                longest_s <= 1,
            ),
        ),
        tuple(told["fault"] for told in hours if told["fault"]),
        {"hours": hours},
    )


def main() -> int:
    """Simulate; a line of data for each hour."""
    hours, path = int(sys.argv[1]), Path(sys.argv[2])
    now_ns, begun = _NOON_NS, time.monotonic()
    traffic = Traffic(1, _SPANS)
    taken = 0
    with Store(path, max_bytes=MAX_BYTES, max_age_s=KEPT_HOURS * 3600, clock=lambda: now_ns) as store:
        for hour in range(1, hours + 1):
            longest_s = 0.0
            for _ in range(3600 // EVERY_S):
                now_ns += EVERY_S * 1_000_000_000
                clocked = time.monotonic()
                for signal, body, records in _of_one_moment(traffic, now_ns):
                    store.take(Batch(signal, ExportTraceServiceRequest(), body, {}, records))
                    taken += records
                store.settle()
                longest_s = max(longest_s, time.monotonic() - clocked)
            told = store.statistics()
            evicted = sum(told.evicted.values())
            kept = told.spans + told.logs + told.points
            print(
                json.dumps(
                    {
                        "hour": hour,
                        "file": path.stat().st_size,
                        "wal": path.with_name(path.name + "-wal").stat().st_size,
                        "rss": _rss_bytes(),
                        "spans": told.spans,
                        "logs": told.logs,
                        "points": told.points,
                        "evicted": evicted,
                        "longest_s": longest_s,
                        "took_s": time.monotonic() - begun,
                        "fault": ""
                        if kept + evicted == taken
                        else f"{taken} taken, {kept} kept, {evicted} gone",
                    }
                ),
                flush=True,
            )
    return 0


def _of_one_moment(traffic: Traffic, now_ns: int) -> Iterator[tuple[Signal, bytes, int]]:
    yield "traces", traffic.traces(now_ns), _SPANS
    yield "logs", traffic.logs(now_ns, _LOGS), _LOGS
    yield "metrics", traffic.metrics(now_ns, _POINTS), _POINTS


def _rss_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
