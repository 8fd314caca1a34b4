"""For which relationship an ORM query runs: `Order.fills`, told by the session, carried by an option."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tickspan.instrumentation import Attributes, Guard, Workbench
from tickspan.instrumentation.db import LOAD
from tickspan.semconv.db import TICKSPAN_DB_ORM_PATH

from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["RelationshipLoads", "attributes_of_load"]


def attributes_of_load(path: Any) -> Attributes | None:
    """What is told of a load whose execution options hold `path`."""
    name = _named(path)
    return None if name is None else {TICKSPAN_DB_ORM_PATH: name}


@dataclass(frozen=True, slots=True)
class RelationshipLoads:
    """The row that listens to all sessions."""

    module: str = "sqlalchemy.orm"

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen on the class `Session`, unless the settings want no paths."""
        from sqlalchemy import event

        if not Recorder.of(bench).teller.settings.orm_path:
            return
        listener = _listener(bench, bench.guard("relationships"))
        session: Any = module.Session
        event.listen(session, "do_orm_execute", listener)
        bench.on_undo(lambda: event.remove(session, "do_orm_execute", listener))


def _listener(bench: Workbench, guard: Guard) -> Any:
    def do_orm_execute(state: Any) -> None:
        if bench.is_active:
            guard.own(_note, state, default=None)

    return do_orm_execute


def _note(state: Any) -> None:
    if state.is_relationship_load:
        state.update_execution_options(**{LOAD: state.loader_strategy_path})


def _named(path: Any) -> str | None:
    """`Order.fills` of a loader path: mapper, relationship, mapper, relationship, …; the last pair counts."""
    steps = list(path)
    for owner, step in zip(reversed(steps[:-1]), reversed(steps[1:]), strict=False):
        mapped, key = getattr(owner, "class_", None), getattr(step, "key", None)
        if isinstance(mapped, type) and isinstance(key, str):
            return f"{mapped.__name__}.{key}"
    return None
