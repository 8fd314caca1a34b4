"""What all records inside of a block have in common: fields and a category, in OpenTelemetry's context."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ContextDecorator
from contextvars import Token
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import context as otel_context

from tickspan.logs.category import category_name
from tickspan.recording._impl import logrecord

__all__ = ["KEY", "NOTHING", "Bound", "bound", "log_context"]

KEY: Final = otel_context.create_key("tickspan-log-context")


@dataclass(frozen=True, slots=True)
class Bound:
    """What is in force; `fields` are clean. Nobody changes them."""

    category: str | None
    fields: Mapping[str, Any]


NOTHING: Final = Bound(None, {})


def bound() -> Bound:
    """What is in force here."""
    found = otel_context.get_value(KEY)
    return found if type(found) is Bound else NOTHING


class log_context(ContextDecorator):  # noqa: N801 - reads as what it is: `with log_context(trade_id="t7"):`
    """Give each record inside of the block these fields; an inner block adds to an outer one.

    It holds in this task or thread, and in tasks that it starts. It goes into records of any logger, and
    never into headers of requests. As a decorator it holds during a call of a plain function.

    Args:
        category: of records whose logger has none of its own.
        **fields: anything; what looks like a secret is left out, as in records.

    Raises:
        ValueError: the category is none.
    """

    def __init__(self, category: str | None = None, **fields: Any) -> None:
        self._category = None if category is None else category_name(category)
        self._fields = logrecord.clean_fields(fields)
        self._tokens: list[Token[otel_context.Context]] = []

    def __repr__(self) -> str:
        return f"<log_context {self._category or ''} {', '.join(self._fields)}>"

    def __enter__(self) -> None:
        outer = bound()
        category = self._category or outer.category
        inner = otel_context.set_value(KEY, Bound(category, {**outer.fields, **self._fields}))
        self._tokens.append(otel_context.attach(inner))

    def __exit__(self, *_error: object) -> None:
        otel_context.detach(self._tokens.pop())

    def _recreate_cm(self) -> log_context:
        """A decorated function may run in several threads at once: each call has its own."""
        copy = log_context(self._category)
        copy._fields = self._fields
        return copy
