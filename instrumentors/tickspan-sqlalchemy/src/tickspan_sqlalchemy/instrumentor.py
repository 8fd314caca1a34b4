"""The instrumentor: its table, and which engines it tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tickspan.instrumentation import Instrumentor, Row, Wrap

from tickspan_sqlalchemy.orm import RelationshipLoads
from tickspan_sqlalchemy.pools import POOL_ROWS
from tickspan_sqlalchemy.recorder import Recorder
from tickspan_sqlalchemy.results import with_counted_rows
from tickspan_sqlalchemy.statements import Listeners
from tickspan_sqlalchemy.transactions import TRANSACTION_ROWS
from tickspan_sqlalchemy.watches import Watches

__all__ = ["SQLAlchemyInstrumentor"]


class SQLAlchemyInstrumentor(Instrumentor):
    """Spans for all statements of all engines, or of those that are named.

    `instrument(engine=...)` or `instrument(engines=[...])`, sync or async engines, tells these only; it may
    be called again for more. Without either, all engines are told, also those made before.
    """

    scope: ClassVar[str] = "tickspan_sqlalchemy"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ("sqlalchemy >= 1.4, < 3",)
    tested: ClassVar[tuple[str, ...]] = ("sqlalchemy >= 1.4.54, <= 2.1.9",)
    rows: ClassVar[tuple[Row, ...]] = (
        Listeners(),
        Wrap("sqlalchemy.engine.default", "DefaultExecutionContext._setup_result_proxy", with_counted_rows),
        *TRANSACTION_ROWS,
        *POOL_ROWS,
        Watches(),
        RelationshipLoads(),
    )

    def instrument(self, **kwargs: Any) -> None:
        """See the class; other arguments as for every instrumentor."""
        engines = _engines(kwargs.pop("engine", None), kwargs.pop("engines", None))
        if not self.is_instrumented_by_opentelemetry:
            super().instrument(**kwargs)
            self._select(engines)
        elif engines:
            self._select(engines)
        else:
            super().instrument(**kwargs)

    def _select(self, engines: Iterable[Any]) -> None:
        bench = self._bench
        if engines and bench is not None:
            Recorder.of(bench).select(engines)


def _engines(engine: Any, engines: Iterable[Any] | None) -> tuple[Any, ...]:
    several = tuple(engines) if engines is not None else ()
    return several if engine is None else (engine, *several)
