"""What an instruction of a code object does, read from bytecode when its place is first seen.

Nothing is run and no source is read. The name of what a call calls is that of the load which begins where the
call begins; without column numbers (`-X no_debug_ranges`) it is unknown.
"""

from __future__ import annotations

import dis
import inspect
import itertools
import sys
from bisect import bisect_right
from operator import itemgetter
from types import CodeType
from typing import Final, NamedTuple

from tickspan.profiler.states import Leaf

__all__ = ["Instruction", "instruction_at", "line_at"]

_CALLS: Final = ("CALL", "PRECALL", "INSTRUMENTED_CALL")
_MAY_WAIT: Final = frozenset(
    {
        *("BEFORE_WITH", "BEFORE_ASYNC_WITH", "WITH_EXCEPT_START", "FOR_ITER", "GET_ITER", "SEND"),
        *("IMPORT_NAME", "IMPORT_FROM", "LOAD_SPECIAL", "YIELD_VALUE"),
    }
)
"""Instructions besides calls that run code of C, which may wait."""
_CACHE: Final = dis.opmap["CACHE"]
_WITH: Final = frozenset({"BEFORE_WITH", "WITH_EXCEPT_START", "LOAD_SPECIAL"})
_LOADS: Final = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_SUPER_ATTR")
_VARIABLES: Final = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_CLOSURE")
_LOCK_CALLS: Final = frozenset(
    {"acquire", "_acquire_restore", "get", "join", "put", "wait", "wait_for", "_wait_for_tstate_lock"}
)
_LARGE: Final = 1 << 16
_MOST_LARGE: Final = 8
_FAR: Final = 1 << 12
"""How many bytes before a call the load of what it calls is looked for."""
_UNKNOWN: Final = ("", True)
_IDLE_CALLS: Final = frozenset({"sleep", "run_until_complete", "run_forever"})
_WORKERS: Final = frozenset({("_worker", "concurrent/futures/thread.py")})
_COROUTINES: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


class Instruction(NamedTuple):
    """One place in bytecode.

    Attributes:
        leaf: what a thread does whose innermost place this is.
        is_call: whether it calls something by name or value.
        callee: the name of what it calls; empty where it is no call, or unknown.
        is_variable: whether what it calls is held by a local variable, so that its name says nothing.
        is_coroutine: whether its code is that of a coroutine or an asynchronous generator.
    """

    leaf: Leaf
    is_call: bool
    callee: str
    is_variable: bool
    is_coroutine: bool


def line_at(code: CodeType, offset: int) -> int:
    """The line of an instruction; 0 when it has none. For one thread at a time."""
    if len(code.co_linetable) > _LARGE:
        return _line_in(_starts_of(code), offset)
    for start, end, line in code.co_lines():
        if start <= offset < end:
            return line or 0
    return 0


_starts: Final[dict[int, tuple[CodeType, list[tuple[int, int]]]]] = {}
"""Of large code, by its identity: where lines begin, and the lines."""


def _starts_of(code: CodeType) -> list[tuple[int, int]]:
    known = _starts.get(id(code))
    if known is None or known[0] is not code:
        if len(_starts) >= _MOST_LARGE:
            _starts.clear()
        known = _starts[id(code)] = (code, [(start, line or 0) for start, _, line in code.co_lines()])
    return known[1]


def _line_in(starts: list[tuple[int, int]], offset: int) -> int:
    place = bisect_right(starts, offset, key=itemgetter(0)) - 1
    return starts[place][1] if place >= 0 else 0


def instruction_at(code: CodeType, offset: int) -> Instruction:
    """What the instruction at `f_lasti` does. What more than 64 KiB of bytecode call is not named."""
    is_coroutine = bool(code.co_flags & _COROUTINES)
    if offset < 0:
        return Instruction(
            Leaf.NO_CALL, is_call=False, callee="", is_variable=False, is_coroutine=is_coroutine
        )
    bytecode = code.co_code
    while offset > 0 and bytecode[offset] == _CACHE:  # 3.11 stands behind a call of Python code
        offset -= 2
    name = dis.opname[bytecode[offset]]
    is_call = name.startswith(_CALLS)
    callee, is_variable = _callee(code, bytecode, offset) if is_call else ("", False)
    leaf = _leaf(code, name, callee, is_call=is_call)
    return Instruction(leaf, is_call, callee, is_variable, is_coroutine)


def _leaf(code: CodeType, name: str, callee: str, *, is_call: bool) -> Leaf:
    if not is_call and name not in _MAY_WAIT:
        return Leaf.NO_CALL
    if callee in _IDLE_CALLS or (code.co_name == "select" and code.co_filename.endswith("selectors.py")):
        return Leaf.IDLE
    if any(code.co_name == worker and code.co_filename.endswith(file) for worker, file in _WORKERS):
        return Leaf.IDLE
    if name in _WITH or callee in _LOCK_CALLS:
        return Leaf.LOCK
    return Leaf.CALL


def _callee(code: CodeType, bytecode: bytes, offset: int) -> tuple[str, bool]:
    """The name of what is called, and whether a local variable holds it."""
    if len(bytecode) > _LARGE:
        return _UNKNOWN
    positions = list(itertools.islice(code.co_positions(), offset // 2 + 1))
    line, _, column, _ = positions[-1]
    if line is None or column is None:
        return _UNKNOWN
    for place in range(offset - 2, max(-2, offset - _FAR), -2):
        begins = positions[place // 2]
        if (begins[0], begins[2]) != (line, column):
            continue
        name = dis.opname[bytecode[place]]
        if name.startswith(_LOADS):
            return code.co_names[_argument(bytecode, place) >> _shift(name)], False
        if name.startswith(_VARIABLES):
            return _variable(code, name, _argument(bytecode, place)), True
    return _UNKNOWN


def _argument(bytecode: bytes, place: int) -> int:
    """The argument of an instruction, with what stands in front of it for what one byte does not hold."""
    argument, shift = bytecode[place + 1], 8
    while place >= 2 and bytecode[place - 2] == dis.EXTENDED_ARG:  # noqa: PLR2004 - a unit of bytecode
        place -= 2
        argument |= bytecode[place + 1] << shift
        shift += 8
    return argument


def _shift(name: str) -> int:
    """By how many bits the index of a name is shifted, for flags of the instruction."""
    if name.startswith("LOAD_SUPER_ATTR"):
        return 2
    return int(name == "LOAD_GLOBAL" or (name == "LOAD_ATTR" and sys.version_info >= (3, 12)))


def _variable(code: CodeType, name: str, argument: int) -> str:
    """The name of a variable that is loaded; of two, the one that is loaded last."""
    is_pair = name.count("LOAD_FAST") > 1
    names = (
        *code.co_varnames,
        *(one for one in code.co_cellvars if one not in code.co_varnames),
        *code.co_freevars,
    )
    return names[argument & 15 if is_pair else argument]
