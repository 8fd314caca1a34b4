"""Structured logs over the standard library: categories, context, files, search, an audit chain."""

from tickspan.logs.capture import CaptureStatistics
from tickspan.logs.category import Category
from tickspan.logs.configuration import LoggingConfig, configure
from tickspan.logs.context import log_context
from tickspan.logs.logger import CategoryLogger, DirectLogger, get_direct_logger, get_logger
from tickspan.logs.query import QueryError
from tickspan.logs.search import Hit, SearchResult, search

__all__ = [
    "CaptureStatistics",
    "Category",
    "CategoryLogger",
    "DirectLogger",
    "Hit",
    "LoggingConfig",
    "QueryError",
    "SearchResult",
    "configure",
    "get_direct_logger",
    "get_logger",
    "log_context",
    "search",
]
