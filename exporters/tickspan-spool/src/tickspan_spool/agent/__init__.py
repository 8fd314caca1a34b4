"""The agent: delivers what processes spool, from a process of its own.

`python -m tickspan_spool.agent` is that process; the functions here are for those who deal with it. Each is
loaded when it is first used: a recording process needs `ensure_running` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickspan_spool.liaison import ensure_running, hand_over_credentials

    from .inquiry import drain, hasten, redrive, run, status, stop
    from .letterbox import Redriven, letter, letters
    from .service import ANOTHER_RUNS
    from .state import AgentState, AgentStatus, DestinationStatus, ProcessStatus

_HOMES = {
    "ANOTHER_RUNS": "service",
    "AgentState": "state",
    "AgentStatus": "state",
    "DestinationStatus": "state",
    "ProcessStatus": "state",
    "Redriven": "letterbox",
    "drain": "inquiry",
    "hasten": "inquiry",
    "letter": "letterbox",
    "letters": "letterbox",
    "redrive": "inquiry",
    "run": "inquiry",
    "status": "inquiry",
    "stop": "inquiry",
}

__all__ = [
    "ANOTHER_RUNS",
    "AgentState",
    "AgentStatus",
    "DestinationStatus",
    "ProcessStatus",
    "Redriven",
    "drain",
    "ensure_running",
    "hand_over_credentials",
    "hasten",
    "letter",
    "letters",
    "redrive",
    "run",
    "status",
    "stop",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # a recording process pays for what it uses

    if name in {"ensure_running", "hand_over_credentials"}:
        return getattr(import_module("tickspan_spool.liaison"), name)
    if name not in _HOMES:
        raise AttributeError(f"module 'tickspan_spool.agent' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
