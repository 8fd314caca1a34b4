"""OpenTelemetry for Python trading systems that never gets in the way of a trade.

`tickspan run -- python bot.py` needs no line of code; `tickspan.init()` is the same in one call. The names
below are loaded when they are first used, so that `import tickspan` costs next to nothing.
"""

from __future__ import annotations

from tickspan.version import __version__

TYPE_CHECKING = False  # checkers know the name; importing `typing` for it would be most of this import's cost
if TYPE_CHECKING:
    from typing import Any

    from tickspan import alerts, lazy, logs, memory, presets, profiler
    from tickspan.analysis.optimizer import QueryOptimizer, get_query_optimizer
    from tickspan.cache import Cache, cached, get_cache
    from tickspan.config import Settings, SettingsError
    from tickspan.distro import init
    from tickspan.distro.summary import performance_summary
    from tickspan.logs import get_logger, log_context
    from tickspan.pools import create_broker_pool, create_database_pool, get_connection_context
    from tickspan.profiler import get_profiler, performance_context, profile, profile_function
    from tickspan.providers.business import record_metric
    from tickspan.trading import (
        annotate_order,
        current_tick,
        decision,
        kill_switch,
        order_span,
        record_slippage,
        risk_check,
        start_transaction,
        strategy,
        tick_scope,
        transaction,
    )

_HOMES = {
    "alerts": "tickspan.alerts",
    "Cache": "tickspan.cache",
    "QueryOptimizer": "tickspan.analysis.optimizer",
    "Settings": "tickspan.config",
    "SettingsError": "tickspan.config",
    "cached": "tickspan.cache",
    "get_cache": "tickspan.cache",
    "create_broker_pool": "tickspan.pools",
    "create_database_pool": "tickspan.pools",
    "get_connection_context": "tickspan.pools",
    "get_logger": "tickspan.logs",
    "get_profiler": "tickspan.profiler",
    "get_query_optimizer": "tickspan.analysis.optimizer",
    "init": "tickspan.distro",
    "lazy": "tickspan.lazy",
    "log_context": "tickspan.logs",
    "logs": "tickspan.logs",
    "memory": "tickspan.memory",
    "annotate_order": "tickspan.trading",
    "current_tick": "tickspan.trading",
    "decision": "tickspan.trading",
    "kill_switch": "tickspan.trading",
    "order_span": "tickspan.trading",
    "performance_context": "tickspan.profiler",
    "performance_summary": "tickspan.distro.summary",
    "presets": "tickspan.presets",
    "profile": "tickspan.profiler",
    "profile_function": "tickspan.profiler",
    "profiler": "tickspan.profiler",
    "record_metric": "tickspan.providers.business",
    "record_slippage": "tickspan.trading",
    "risk_check": "tickspan.trading",
    "start_transaction": "tickspan.trading",
    "strategy": "tickspan.trading",
    "tick_scope": "tickspan.trading",
    "transaction": "tickspan.trading",
}

__all__ = [
    "Cache",
    "QueryOptimizer",
    "Settings",
    "SettingsError",
    "__version__",
    "alerts",
    "annotate_order",
    "cached",
    "create_broker_pool",
    "create_database_pool",
    "current_tick",
    "decision",
    "get_cache",
    "get_connection_context",
    "get_logger",
    "get_profiler",
    "get_query_optimizer",
    "init",
    "kill_switch",
    "lazy",
    "log_context",
    "logs",
    "memory",
    "order_span",
    "performance_context",
    "performance_summary",
    "presets",
    "profile",
    "profile_function",
    "profiler",
    "record_metric",
    "record_slippage",
    "risk_check",
    "start_transaction",
    "strategy",
    "tick_scope",
    "transaction",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # the facade is lazy: a trader's start-up pays for what it uses

    if name not in _HOMES:
        raise AttributeError(f"module 'tickspan' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    return home if home.__name__ == f"tickspan.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
