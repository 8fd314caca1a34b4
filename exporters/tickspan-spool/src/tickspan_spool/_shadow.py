"""What hot modules use of `cython` while they run interpreted: decorators and types that do nothing.

The compiler reads `import cython` at the top of such a module and removes it. Nobody needs Cython to run the
interpreted form; its own stand-in is ten times larger to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class CType:
    """A number of C: named in annotations, which are not evaluated, and in `declare`."""


def _same(thing: F) -> F:
    return thing


class Shadow:
    """`cython`, interpreted."""

    compiled: Final = False
    cclass = cfunc = ccall = inline = final = staticmethod(_same)

    def __getattr__(self, name: str) -> CType:
        return CType()

    @staticmethod
    def freelist(_size: int) -> Callable[[F], F]:
        """How many objects a C class keeps ready."""
        return _same

    @staticmethod
    def declare(kind: Any = None, value: Any = None, **_options: Any) -> Any:
        """A variable with a value; or an attribute of a C class: zero of a number, None of anything else."""
        return 0 if value is None and isinstance(kind, CType) else value


cython: Final = Shadow()
