"""The rows of an instrumentor's table: which function of which module gets what around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from tickspan.instrumentation.active import ActiveOperation, DescribeError
from tickspan.instrumentation.operation import NO_ATTRIBUTES, Attributes, Duration, Operation
from tickspan.instrumentation.suppression import audible
from tickspan.instrumentation.workbench import Workbench, takes_instance
from tickspan.instrumentation.wrapping import wrapped

Describe = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Operation | None]
"""`(instance, args, kwargs)` of a call to its Operation; None where the call is not to be told."""

DescribeResult = Callable[[Operation, Any], Attributes]
Make = Callable[[Any, Workbench], Any]


@runtime_checkable
class Row(Protocol):
    """One line of an instrumentor's table."""

    @property
    def module(self) -> str:
        """The row is applied when this module is imported, or at once if it has been."""
        ...

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Change `module` through `bench`, so that the change can be undone."""
        ...


class MissingTargetError(LookupError):
    """A row names what the installed version of the library does not have."""


@dataclass(frozen=True, slots=True)
class Wrap:
    """The general row: `make(original, bench)` takes the place of `target`."""

    module: str
    target: str
    make: Make
    optional: bool = False

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Replace the target; a missing one is a fault unless `optional`."""
        replace_target(self, module, bench, lambda original: self.make(original, bench))


@dataclass(frozen=True, slots=True)
class Patch:
    """A span around each call of `target`, whatever kind of function it is."""

    module: str
    target: str
    describe: Describe
    optional: bool = False
    describe_result: DescribeResult | None = None
    describe_error: DescribeError | None = None
    duration: Duration | None = None
    callback: str | None = None
    """Name of the parameter whose call ends the operation."""

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Wrap the target; a missing one is a fault unless `optional`."""
        place = found(self, module)
        if place is not None:
            is_method = takes_instance(*place)
            bench.replace(*place, lambda original: self._around(original, bench, is_method=is_method))

    def _around(self, original: Any, bench: Workbench, *, is_method: bool) -> Any:
        guard = bench.guard(f"{self.module}:{self.target}")

        def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            instance, rest = (args[0], args[1:]) if is_method and args else (None, args)
            operation = self.describe(instance, rest, kwargs)
            if operation is None:
                return None
            return bench.start(
                operation, guard=guard, describe_error=self.describe_error, duration=self.duration
            )

        def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            if not bench.is_active or audible() is None:
                return None
            return guard.own(decide, args, kwargs, default=None)

        def finish(active: ActiveOperation, result: Any) -> None:
            if self.describe_result is None:
                active.succeed()
            else:
                attributes = guard.own(self.describe_result, active.operation, result, default=NO_ATTRIBUTES)
                active.succeed(attributes)

        return wrapped(original, begin, finish, self.callback)


class _Targeted(Protocol):
    @property
    def module(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def optional(self) -> bool: ...


def found(row: _Targeted, module: ModuleType) -> tuple[Any, str] | None:
    """Owner and attribute name of the row's dotted target; None if an optional one is missing.

    Raises:
        MissingTargetError: the module has no such target and the row is not optional.
    """
    *path, name = row.target.split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    if owner is not None and hasattr(owner, name):
        return owner, name
    if row.optional:
        return None
    raise MissingTargetError(f"{row.module} has no {row.target}: is this version of the library supported?")


def replace_target(row: _Targeted, module: ModuleType, bench: Workbench, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of the row's target; nothing where an optional one is missing.

    Raises:
        MissingTargetError: as `found`.
    """
    place = found(row, module)
    if place is not None:
        bench.replace(*place, make)
