"""A program that ends with telemetry pending: it says when its main is done; the rest is the exit."""

from __future__ import annotations

import logging
import sys
import time

from benchmarks.sidebyside.lines import answer

from . import logs, meters, spans


def main(recorders: str, spans_count: str) -> None:
    """Record with the given recorders ("spans=…,logs=…"), say when that is done, and end."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    count = int(spans_count)
    chosen = dict(pair.split("=") for pair in recorders.split(","))
    spans.RECORDERS[chosen["spans"]]().record(0, count)
    if "metrics" in chosen:
        meters.METERS[chosen["metrics"]]().loops["add"](0, count)
    if "logs" in chosen:
        logs.RECORDERS[chosen["logs"]]().record(0, count // 10)
    answer({"end_ns": time.perf_counter_ns()})


if __name__ == "__main__":
    main(*sys.argv[1:])
