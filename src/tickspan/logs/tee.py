"""Tee: a method in place of `logging.Logger.callHandlers` that gives each record to somebody else first.

It has no frame of its own: stacks that the application prints, and walks that look for who logs, see what
they would see without it. So it is the standard library's own code with one call before it, compiled again
from its source. Where that is not there, or somebody else has replaced the method, a function around it must
do.
"""

from __future__ import annotations

import ast
import inspect
import logging
import types
from collections.abc import Callable
from typing import Any, Final

__all__ = ["teed"]

_TAKE: Final = "take"
_MAKER: Final = "maker"


def teed(original: Callable[..., Any], take: Callable[[Any, Any], object]) -> Callable[..., Any]:
    """The method; `take`, which does not raise, gets logger and record."""
    made = _with_a_call_before(original, take) or _around(original, take)
    made.__doc__ = original.__doc__
    made.__module__ = original.__module__
    made.__qualname__ = original.__qualname__
    return made


def _with_a_call_before(original: Any, take: Callable[[Any, Any], object]) -> Any:
    """None where the source is not that of this very method."""
    if not isinstance(original, types.FunctionType) or original.__closure__:
        return None
    try:
        source = "".join(inspect.getsourcelines(original)[0])
        tree = ast.parse(f"class _:\n{source}")  # as deep as in its class: positions stay
    except (OSError, SyntaxError, TypeError):
        return None
    holder = tree.body[0]
    method = holder.body[0] if isinstance(holder, ast.ClassDef) else None
    if not isinstance(method, ast.FunctionDef) or method.decorator_list or len(method.args.args) != 2:  # noqa: PLR2004 - self and record
        return None
    ast.increment_lineno(tree, original.__code__.co_firstlineno - 2)
    filename = original.__code__.co_filename
    if not _are_alike(_code_of(method, filename), original.__code__):
        return None
    logger, record = (argument.arg for argument in method.args.args)
    call = ast.parse(f"{_TAKE}({logger}, {record})").body[0]
    for node in ast.walk(call):
        ast.copy_location(node, method)
    has_docstring = ast.get_docstring(method) is not None
    method.body.insert(1 if has_docstring else 0, call)
    code = _code_of(method, filename)
    if code is None or code.co_freevars != (_TAKE,):
        return None
    named = code.replace(co_qualname=original.__code__.co_qualname)
    return types.FunctionType(
        named, original.__globals__, original.__name__, original.__defaults__, (types.CellType(take),)
    )


def _code_of(method: ast.FunctionDef, filename: str) -> types.CodeType | None:
    """Of the method alone, where `take` is a variable of the function around it."""
    maker = ast.parse(f"def {_MAKER}({_TAKE}): pass").body[0]
    if not isinstance(maker, ast.FunctionDef):
        return None
    for node in ast.walk(maker):
        ast.copy_location(node, method)
    maker.body = [method]
    module = compile(ast.Module([maker], []), filename, "exec", dont_inherit=True)
    outer = next((one for one in module.co_consts if isinstance(one, types.CodeType)), None)
    if outer is None:
        return None
    return next((one for one in outer.co_consts if isinstance(one, types.CodeType)), None)


def _are_alike(made: types.CodeType | None, known: types.CodeType) -> bool:
    """Whether they do the same at the same lines."""
    return made is not None and (
        (made.co_code, made.co_names, made.co_varnames, tuple(made.co_lines()))
        == (known.co_code, known.co_names, known.co_varnames, tuple(known.co_lines()))
    )


def _around(original: Any, take: Callable[[Any, Any], object]) -> Any:
    """Frame walkers skip the file of `logging` to find who logs, so it stands in that file too."""

    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> Any:  # noqa: N802 - the name of what it replaces
        take(self, record)
        return original(self, record)

    place = logging.Logger.getEffectiveLevel.__code__
    callHandlers.__code__ = callHandlers.__code__.replace(
        co_filename=place.co_filename, co_firstlineno=place.co_firstlineno
    )
    return callHandlers
