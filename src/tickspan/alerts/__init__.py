"""Alerts: rules over metrics, spans and log events; who evaluates them, and who is told.

The names below are loaded when they are first used: a program without rules pays nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # checkers know the name; importing `typing` for it would be most of this import's cost
if TYPE_CHECKING:
    from typing import Any

    from tickspan.alerts.file import RuleFileError, load_rules
    from tickspan.alerts.handles import RuleHandle, active, add_rule, on_change
    from tickspan.alerts.notice import Notice

_HOMES = {
    "Notice": "tickspan.alerts.notice",
    "RuleFileError": "tickspan.alerts.file",
    "RuleHandle": "tickspan.alerts.handles",
    "active": "tickspan.alerts.handles",
    "add_rule": "tickspan.alerts.handles",
    "load_rules": "tickspan.alerts.file",
    "on_change": "tickspan.alerts.handles",
}

__all__ = ["Notice", "RuleFileError", "RuleHandle", "active", "add_rule", "load_rules", "on_change"]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # the facade is lazy: a trader's start-up pays for what it uses

    if name not in _HOMES:
        raise AttributeError(f"module 'tickspan.alerts' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
