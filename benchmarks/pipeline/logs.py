"""Recorders of log records: a line with two arguments and two attributes, as each contender takes it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .payload import LOGGER, PRICE, PRICES, SEQUENCE, SERVICE, VENUES
from .spans import Recorder, our_library

_FLUSH_S = 30


def nothing() -> Recorder:
    """A logger whose level lets nothing pass: the call and its arguments."""
    return _of_logging(logging.NullHandler(), "no telemetry", lambda: None, logging.WARNING)


def stock_http() -> Recorder:
    """The SDK's handler, batch processor and exporter over OTLP/HTTP."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(provider)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it moves to another package as it is
        handler = LoggingHandler(logger_provider=provider)
    return _of_logging(handler, f"SDK {version('opentelemetry-sdk')}", _flush_of(provider))


def structlog() -> Recorder:
    """JSON with level and time, written to the null device: no line leaves the process."""
    peer: Any = import_module("structlog")
    file = Path("/dev/null").open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
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

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            logger.info(
                "order filled",
                **{"order": number, "venue": VENUES[number & 3], SEQUENCE: number, PRICE: PRICES[number & 7]},
            )

    return Recorder(f"structlog {version('structlog')}, JSON to /dev/null", record, file.flush)


def tickspan() -> Recorder:
    """Our handler, on the providers that `tickspan.init()` sets up."""
    from opentelemetry import _logs

    import tickspan as ours
    from tickspan.providers.handler import OTLPHandler

    ours.init(service_name=SERVICE)
    provider: Any = _logs.get_logger_provider()
    handler = OTLPHandler(logger_provider=provider)
    return _of_logging(handler, our_library(), _flush_of(provider))


RECORDERS: Mapping[str, Callable[[], Recorder]] = {
    "nothing": nothing,
    "stock-http": stock_http,
    "structlog": structlog,
    "tickspan": tickspan,
}


def _of_logging(
    handler: logging.Handler, library: str, flush: Callable[[], object], level: int = logging.INFO
) -> Recorder:
    logger = logging.getLogger(LOGGER)
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(handler)

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            logger.info(
                "order %d filled on %s",
                number,
                VENUES[number & 3],
                extra={SEQUENCE: number, PRICE: PRICES[number & 7]},
            )

    return Recorder(library, record, flush)


def _flush_of(provider: Any) -> Callable[[], object]:
    return lambda: provider.force_flush(_FLUSH_S * 1000)
