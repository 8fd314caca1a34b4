"""What calls of one function add up to, and the callable that adds them up.

Interpreted or compiled from this one file (Cython's pure Python mode). Compiled, a tally is changed by code
that calls no Python, which the GIL makes atomic. Interpreted, a call is appended to a queue (one atomic
step), and folded by whoever finds it long or reads: nothing waits, so a call that a finalizer makes while
another one is being counted cannot lock up.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false, reportMissingImports=false
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportUndefinedVariable=false
# pyright: reportUnboundVariable=false, reportCallIssue=false, reportOptionalMemberAccess=false
# pyright: reportPrivateUsage=false, reportIndexIssue=false
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202, ANN204, D102, F821, FBT003, PERF401, PLR1730, PLR2004
# ruff: noqa: RET503, SLF001
# C types are the compiler's, and the names of C come from the .pxd file beside the twin.

from __future__ import annotations

import threading
import time
from collections import deque
from functools import update_wrapper
from types import MethodType

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

_BUCKETS = 64
_FOLD_AT = 512
_WAIT_FOR_FOLD_S = 0.2
_SIZED = frozenset({list, tuple, dict, set, frozenset, bytes, bytearray, str})
if not cython.compiled:
    now_ns = time.perf_counter_ns


class Tally:
    """Calls, errors and times of one function, and its fastest call for each power of two of its size."""

    def __init__(self):
        if not cython.compiled:
            self._waiting = deque()
            self._lock = threading.Lock()
        self.clear()

    def clear(self):
        """Begin at zero."""
        if not cython.compiled:
            self._waiting.clear()
            self._sizes = [0] * _BUCKETS
            self._fastest_ns = [0] * _BUCKETS
        else:
            for bucket in range(64):
                self._sizes[bucket] = 0
        self._calls = self._errors = self._wall_ns = self._running_ns = self._longest_ns = 0

    def add(self, wall_ns: cython.longlong, running_ns: cython.longlong, is_error: cython.bint, size=None):
        """One more call; a call that failed says nothing about sizes."""
        known: cython.longlong = -1 if size is None else size
        if cython.compiled:
            _add(self, wall_ns, running_ns, is_error, known)
        else:
            self._waiting.append((wall_ns, running_ns, is_error, known))
            if len(self._waiting) >= _FOLD_AT and self._lock.acquire(blocking=False):
                self._fold()

    def totals(self):
        """Calls, errors, and nanoseconds: wall, running, longest; and (size, running) of fastest calls."""
        if not cython.compiled and self._lock.acquire(timeout=_WAIT_FOR_FOLD_S):
            self._fold()
        points = []
        for bucket in range(64):
            if self._sizes[bucket] > 0:
                points.append((self._sizes[bucket], self._fastest_ns[bucket]))
        return self._calls, self._errors, self._wall_ns, self._running_ns, self._longest_ns, points

    def _fold(self):
        """With the lock held, which it gives back."""
        try:
            for _ in range(len(self._waiting)):
                wall_ns, running_ns, is_error, size = self._waiting.popleft()
                _add(self, wall_ns, running_ns, is_error, size)
        finally:
            self._lock.release()

    def after_fork(self):
        """A forked child: the lock may be held by nobody."""
        if not cython.compiled:
            self._lock = threading.Lock()


def _add(tally, wall_ns, running_ns, is_error, size):
    tally._calls += 1
    tally._wall_ns += wall_ns
    tally._running_ns += running_ns
    if wall_ns > tally._longest_ns:
        tally._longest_ns = wall_ns
    if is_error:
        tally._errors += 1
    elif size > 0:
        bucket = _bit_length(size) if cython.compiled else size.bit_length()
        if bucket < 64 and (tally._sizes[bucket] == 0 or running_ns < tally._fastest_ns[bucket]):
            tally._sizes[bucket] = size
            tally._fastest_ns[bucket] = running_ns


def size_of(args, kwargs):
    """The length of the first argument that is a builtin container; else of the first text; else None."""
    text = None
    for value in (*args, *kwargs.values()):
        kind = type(value)
        if kind in _SIZED:
            if kind is not str:
                return len(value)
            if text is None:
                text = len(value)
    return text


def size_of_result(result):
    """The length of a builtin container that a call returned; else None."""
    return len(result) if type(result) in _SIZED and type(result) is not str else None


class Measured:
    """A function that is measured each time it runs, as a callable of C; like that of `functools.lru_cache`.

    Only the compiled form makes any. It is bound as a method is, pickled by name, and has all attributes of
    its function.
    """

    def __init__(self, function, tally):
        self._function = function
        self._tally = tally
        if cython.compiled:
            self._vectorcall = _called
            make_callable(cython.cast(cython.pointer[PyObject], self), cython.address(self._vectorcall))

    def __call__(self, *args, **kwargs):
        return PyVectorcall_Call(self, args, kwargs)

    def __get__(self, instance, owner):
        return self if instance is None else MethodType(self, instance)

    def __getattr__(self, name):
        return getattr(self._function, name)

    def __reduce__(self):
        return self.__qualname__

    def __repr__(self):
        return f"<measured {self._function!r}>"


def _called(given, arguments, count, names):
    """A call: borrowed arguments in, a new reference out, NULL with an exception set."""
    if cython.compiled:
        measured: Measured = cython.cast(Measured, given)
        size: cython.longlong = first_size(arguments, count, names)
        begun_ns: cython.longlong = now_ns()
        result: cython.pointer[PyObject] = PyObject_Vectorcall(
            cython.cast(cython.pointer[PyObject], measured._function), arguments, count, names
        )
        wall_ns: cython.longlong = now_ns() - begun_ns
        if size < 0 and result != cython.NULL:
            size = container_size(result)
        _add(measured._tally, wall_ns, wall_ns, result == cython.NULL, size)
        return result


def measured(function, tally):
    """The function, with each call added to the tally."""
    if cython.compiled:
        return update_wrapper(Measured(function, tally), function)

    def called(*args, **kwargs):
        size = size_of(args, kwargs)
        begun_ns = now_ns()
        try:
            result = function(*args, **kwargs)
        except BaseException:
            wall_ns = now_ns() - begun_ns
            tally.add(wall_ns, wall_ns, True)
            raise
        wall_ns = now_ns() - begun_ns
        tally.add(wall_ns, wall_ns, False, size_of_result(result) if size is None else size)
        return result

    return update_wrapper(called, function)


class Steps:
    """Drives a generator or a coroutine, adds up how long its steps take, and counts it when it has ended.

    It ends by returning, by an error, or because it is closed, which is none.
    """

    def __init__(self, steps, tally=None, size=None):
        """Begins the call.

        Args:
            steps: the generator, the coroutine, or another awaitable's iterator.
            tally: where the call is counted when it has ended; None only adds up `running_ns`.
            size: of its input; None where it has none, and then that of what it returns counts.
        """
        self._steps = steps
        self._tally = tally
        self._size = -1 if size is None else size
        self._running_ns = 0
        self._begun_ns = now_ns()
        if cython.compiled:
            make_steps(cython.cast(cython.pointer[PyObject], self), _sent, _stepped)

    @property
    def running_ns(self):
        """Time in steps so far."""
        return self._running_ns

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self._step(self._steps.send, None)

    def send(self, value):
        """As a generator's."""
        return self._step(self._steps.send, value)

    def throw(self, *error):
        """As a generator's."""
        return self._step(self._steps.throw, *error)

    def close(self):
        """As a generator's."""
        self._step(self._steps.close)
        self._end(False, None)

    def _step(self, step, *given):
        begun_ns: cython.longlong = now_ns()
        try:
            value = step(*given)
        except BaseException as error:
            self._running_ns += now_ns() - begun_ns
            self._end(not isinstance(error, (StopIteration, GeneratorExit)), getattr(error, "value", None))
            raise
        self._running_ns += now_ns() - begun_ns
        return value

    def _end(self, is_error, result):
        tally = self._tally
        if tally is not None:
            self._tally = None
            size = size_of_result(result) if self._size < 0 else self._size
            tally.add(now_ns() - self._begun_ns, self._running_ns, is_error, size)


# What the interpreter calls for a step of the compiled form: no StopIteration is made, and no traceback.


def _sent(given, value, result):
    """The slot `am_send`."""
    if cython.compiled:
        steps: Steps = cython.cast(Steps, given)
        begun_ns: cython.longlong = now_ns()
        outcome: cython.int = PyIter_Send(cython.cast(cython.pointer[PyObject], steps._steps), value, result)
        ended_ns: cython.longlong = now_ns()
        steps._running_ns += ended_ns - begun_ns
        if outcome != PYGEN_NEXT and steps._tally is not None:
            size: cython.longlong = steps._size
            if outcome == PYGEN_RETURN and size < 0:
                size = container_size(result[0])
            is_error: cython.bint = outcome == PYGEN_ERROR and not is_closing()
            _add(steps._tally, ended_ns - steps._begun_ns, steps._running_ns, is_error, size)
            steps._tally = None
        return outcome


def _stepped(given):
    """The slot `tp_iternext`."""
    if cython.compiled:
        result: cython.pointer[PyObject] = cython.NULL
        if _sent(given, cython.cast(cython.pointer[PyObject], None), cython.address(result)) == PYGEN_RETURN:
            stop_with(result)
            return cython.NULL
        return result


def stepped(function, args, kwargs, tally):
    """A call of a generator or coroutine function without a `size=`, to be driven."""
    size = size_of(args, kwargs)
    return Steps(function(*args, **kwargs), tally, size)


IS_COMPILED = bool(cython.compiled)
"""Whether measured functions are callables of C."""
