"""Transactions of three spans: what one costs its program, and whether all arrive, whole and decoded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.bench.report import Figure
from tickspan.cli.bench.timing import Timing
from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.received import ReceivedSpan

__all__ = ["NAMES", "NUMBER", "SERVICE", "TARGET", "WHAT", "Told", "differing", "figure", "measured"]

SERVICE: Final = "tickspan-bench"
NAMES: Final = ("bench", "read", "write")
"""Of the spans of a transaction, the outermost first."""
NUMBER: Final = "number"
"""The attribute of the outermost that counts transactions from 0 on."""
WHAT: Final = "a transaction of three spans"
_TARGET_PER_S: Final = 10_000
_TARGET_S: Final = 0.001
TARGET: Final = f"below {_TARGET_S * 1e3:g} ms overhead, {_TARGET_PER_S:,} a second"
_MOST_S: Final = 0.5
"""Of recording: all of it has to be delivered and decoded afterwards."""
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the process says that ran them.

    Attributes:
        timing: of single transactions, in their program.
        transactions: that it ran in all.
        took_s: from the first of them until the last was delivered.
        is_delivered: whether it is sure of that.
    """

    timing: Timing
    transactions: int
    took_s: float
    is_delivered: bool


def measured(seconds: float) -> Told:
    """Run transactions in a process of its own, receive what it sends, and compare.

    Raises:
        CommandError: the process failed, or what came is not what was recorded: then nothing is measured.
    """
    from tickspan_spool import agent
    from tickspan_spool.receiver import Batch, Receiver

    from tickspan.received import decode_requests

    batches: list[Batch] = []
    with (
        tempfile.TemporaryDirectory(prefix="tickspan-bench-", ignore_cleanup_errors=True) as name,
        Receiver(on_batch=batches.append) as receiver,
    ):
        spool = Path(name, "spool")
        try:
            told = _told(receiver.endpoint, spool, min(seconds, _MOST_S))
        finally:
            if spool.exists():
                agent.stop(spool)
    spans = decode_requests(batch.message for batch in batches).spans
    wrong = differing(spans, told.transactions)
    if wrong or not told.is_delivered:
        raise CommandError(
            f"{wrong:,} of {told.transactions:,} transactions did not arrive as they were recorded", 1
        )
    return told


def _told(endpoint: str, spool: Path, seconds: float) -> Told:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "TICKSPAN_SPOOL_DIR": str(spool),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tickspan.cli.bench.transacting", str(seconds)],
        env={**ours, **settings},
        cwd=spool.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        words = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise CommandError(f"transactions cannot be measured: {words.partition(':')[0]}", 1)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Told(Timing(**said.pop("timing")), **said)


def differing(spans: Sequence[ReceivedSpan], transactions: int) -> int:
    """How many transactions are missing, there twice, or not made of the three spans that belong together."""
    traces: dict[str, list[ReceivedSpan]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    whole = [found for trace in traces.values() if (found := _number_of(trace)) is not None]
    known = set(whole) & set(range(transactions))
    return transactions - len(known) + (len(traces) - len(known))


def _number_of(trace: Sequence[ReceivedSpan]) -> int | None:
    """Which transaction a trace is; None when it is none, or not whole."""
    by_name = {span.name: span for span in trace}
    if len(trace) != len(NAMES) or tuple(sorted(by_name)) != tuple(sorted(NAMES)):
        return None
    root, *inner = (by_name[name] for name in NAMES)
    if root.parent_span_id or any(span.parent_span_id != root.span_id for span in inner):
        return None
    number = root.attributes.get(NUMBER)
    return number if isinstance(number, int) else None


def figure(told: Told) -> Figure:
    """What is asked of a transaction, and what `measured` found."""
    timing = told.timing
    delivered_per_s = told.transactions / told.took_s
    return Figure(
        WHAT,
        TARGET,
        f"p99 {timing.p99_s * 1e6:,.0f} us, {timing.per_second:,.0f} a second",
        "one thread under tickspan.init(), in the spool when the call returns;"
        f" {told.transactions:,} transactions were delivered by the agent, decoded, and compared with what"
        " was recorded: none is missing",
        f"start of the agent, recording and delivery together took {told.took_s:.1f} s,"
        f" {delivered_per_s:,.0f} a second; agent and receiver share the processors with the program",
        timing.p99_s < _TARGET_S and timing.per_second >= _TARGET_PER_S,
    )
