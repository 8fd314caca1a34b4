"""The current context, read and set without the API's functions around it: every call needs it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace.propagation import _SPAN_KEY

SPAN_KEY: Final = _SPAN_KEY
"""Under which a context holds its span."""

_runtime: Any = otel_context._RUNTIME_CONTEXT  # noqa: SLF001 - no public name
_variable: Any = _runtime._current_context if type(_runtime) is ContextVarsRuntimeContext else None  # noqa: SLF001 - the same

current_context: Final[Callable[[], Context]] = _runtime.get_current if _variable is None else _variable.get
"""As `opentelemetry.context.get_current`."""

attach: Final[Callable[[Context], Token[Context]]] = _runtime.attach if _variable is None else _variable.set
"""As `opentelemetry.context.attach`."""

detach: Final[Callable[[Token[Context]], None]] = _runtime.detach if _variable is None else _variable.reset
"""As `opentelemetry.context.detach`, which logs a traceback where this raises `ValueError`: the token is of
another context or thread.
"""
