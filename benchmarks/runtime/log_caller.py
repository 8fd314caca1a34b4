"""A process that logs: what a record costs its caller, its tail, and all of the process's CPU time for it."""

from __future__ import annotations

import io
import logging
import logging.handlers
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.pipeline.figures import percentile
from benchmarks.sidebyside.lines import answer, questions

__all__ = ["CAPTURED", "CATEGORY", "DIRECT", "EMPTY", "MAKERS", "NULL", "STOCK", "main"]

EMPTY: Final = "empty loop"
NULL: Final = "logging, no handler"
STOCK: Final = "OpenTelemetry's handler"
CAPTURED: Final = "logging, captured"
CATEGORY: Final = "get_logger"
DIRECT: Final = "get_direct_logger"
VENUE: Final = "NYSE"
PRICE: Final = 1.5
TEMPLATE: Final = "order %d filled on %s"
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_BATCH: Final = 250
_WARM_UP: Final = 1_000
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who logs.

    Attributes:
        record: logs `count` records with numbers from `first`.
        debug: the same below every level; None where that is not asked.
        flush: waits for what other threads have left to do.
        library: and version.
    """

    record: Callable[[int, int], None]
    debug: Callable[[int, int], None] | None
    flush: Callable[[], object]
    library: str


def main(contender: str, folder: str) -> None:
    """Answer each question `{"batches", "calls"}` with costs, tail and how many records were made."""
    caller = MAKERS[contender](Path(folder))
    caller.record(0, _WARM_UP)
    made = _WARM_UP
    answer({"library": caller.library})
    for question in questions():
        batches, calls = int(question["batches"]), int(question["calls"])
        costs, total_ns = _costs(caller, made, batches)
        made += batches * _BATCH
        each = _latencies(caller, made, calls)
        made += calls
        caller.flush()
        answer(
            {
                "caller": costs,
                "total": total_ns,
                "disabled": [] if caller.debug is None else _disabled(caller.debug, batches),
                "p50": percentile(each, 0.5),
                "p99": percentile(each, 0.99),
                "p999": percentile(each, 0.999),
                "made": made,
            }
        )


def _costs(caller: Caller, first: int, batches: int) -> tuple[list[float], float]:
    """Nanoseconds of the caller's CPU time a record, by batch; and of the whole process until all is done."""
    record, costs = caller.record, list[float]()
    began_ns = time.process_time_ns()
    for number in range(batches):
        start_ns = time.thread_time_ns()
        record(first + number * _BATCH, _BATCH)
        costs.append((time.thread_time_ns() - start_ns) / _BATCH)
    caller.flush()
    return costs, (time.process_time_ns() - began_ns) / (batches * _BATCH)


def _disabled(debug: Callable[[int, int], None], batches: int) -> list[float]:
    costs = list[float]()
    for _ in range(batches):
        start_ns = time.thread_time_ns()
        debug(0, _BATCH)
        costs.append((time.thread_time_ns() - start_ns) / _BATCH)
    return costs


def _latencies(caller: Caller, first: int, calls: int) -> list[int]:
    """Nanoseconds on the wall clock of single records, the clock's own included."""
    record, clock, each = caller.record, time.perf_counter_ns, list[int]()
    for number in range(first, first + calls):
        began_ns = clock()
        record(number, 1)
        each.append(clock() - began_ns)
    return each


def _nothing() -> None:
    pass


def _of_logging(logger: Any, library: str, flush: Callable[[], object] = _nothing) -> Caller:
    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            logger.info(TEMPLATE, number, VENUE, extra={"sequence": number, "price": PRICE})

    return Caller(record, _debug(logger), flush, library)


def _of_fields(logger: Any, library: str, flush: Callable[[], object] = _nothing) -> Caller:
    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            logger.info("order filled", venue=VENUE, sequence=number, price=PRICE)

    return Caller(record, _debug(logger), flush, library)


def _debug(logger: Any) -> Callable[[int, int], None]:
    def debug(first: int, count: int) -> None:
        for _ in range(first, first + count):
            logger.debug("order filled")

    return debug


def _quiet(*handlers: logging.Handler) -> logging.Logger:
    """A logger from INFO up, whose records nobody else sees."""
    logger = logging.getLogger("oms")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    for handler in (logging.NullHandler(), *handlers):
        logger.addHandler(handler)
    return logger


def _python() -> str:
    return f"Python {sys.version.split()[0]}"


def _empty(_folder: Path) -> Caller:
    def record(first: int, count: int) -> None:
        for _ in range(first, first + count):
            pass

    return Caller(record, record, _nothing, _python())


def _null(_folder: Path) -> Caller:
    return _of_logging(_quiet(), _python())


def _formatted(_folder: Path) -> Caller:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter(FORMAT))
    return _of_logging(_quiet(handler), _python())


def _rotating(folder: Path) -> Caller:
    handler = logging.handlers.RotatingFileHandler(folder / "stdlib.log", maxBytes=100 * _MIB, backupCount=2)
    handler.setFormatter(logging.Formatter(FORMAT))
    return _of_logging(_quiet(handler), _python())


def _stock(_folder: Path) -> Caller:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), max_queue_size=1 << 20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it moves to another package as it is
        handler = LoggingHandler(logger_provider=provider)
    return _of_logging(_quiet(handler), f"SDK {version('opentelemetry-sdk')}", provider.force_flush)


def _structlog(folder: Path) -> Caller:
    peer: Any = import_module("structlog")
    file = (folder / "structlog.jsonl").open("w", encoding="utf-8")
    logger: Any = peer.wrap_logger(
        peer.WriteLogger(file),
        processors=[
            peer.processors.add_log_level,
            peer.processors.TimeStamper(fmt="iso", utc=True),
            peer.processors.JSONRenderer(),
        ],
        wrapper_class=peer.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()
    return _of_fields(logger, f"structlog {version('structlog')}", file.flush)


def _loguru(folder: Path) -> Caller:
    logger: Any = import_module("loguru").logger
    logger.remove()
    logger.add(folder / "loguru.log", level="INFO", format="{time} {level} {name} {message} {extra}")
    write = logger.info

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            write("order {} filled on {}", number, VENUE, sequence=number, price=PRICE)

    return Caller(record, _debug(logger), _nothing, f"loguru {version('loguru')}")


def _picologging(folder: Path) -> Caller:
    peer: Any = import_module("picologging")
    logger = peer.Logger("oms", logging.INFO)
    handler = peer.FileHandler(str(folder / "picologging.log"))
    handler.setFormatter(peer.Formatter(FORMAT))
    logger.addHandler(handler)
    return _of_logging(logger, f"picologging {version('picologging')}")


def _ours(folder: Path) -> str:
    from tickspan_spool.twins import implementation

    import tickspan

    given = {"agent": "off", "spool": {"dir": str(folder)}, "logs": {"throttle": 0}}
    tickspan.init(given, service_name="oms")
    return f"tickspan {tickspan.__version__}, {implementation()}"


def _captured(folder: Path) -> Caller:
    library = _ours(folder)
    return _of_logging(_quiet(), library)


def _category(folder: Path) -> Caller:
    from tickspan import logs

    library = _ours(folder)
    return _of_logging(logs.get_logger(_quiet().name, logs.Category.TRADING), library)


def _direct(folder: Path) -> Caller:
    from tickspan import logs

    library = _ours(folder)
    return _of_fields(logs.get_direct_logger("oms", logs.Category.TRADING), library)


MAKERS: Final[Mapping[str, Callable[[Path], Caller]]] = {
    EMPTY: _empty,
    NULL: _null,
    "logging, formatted": _formatted,
    "RotatingFileHandler": _rotating,
    "structlog": _structlog,
    "loguru": _loguru,
    "picologging": _picologging,
    STOCK: _stock,
    CAPTURED: _captured,
    CATEGORY: _category,
    DIRECT: _direct,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
