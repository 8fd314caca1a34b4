"""One look at all threads: their stacks, their clocks, and what is current in the context of each.

Interpreted or compiled from this one file (Cython's pure Python mode). Compiled, one call of C reads stacks
and `PyThreadState.context` without letting another thread run in between, so both are of the same moment.
Interpreted, the context is that of the innermost handle that asyncio runs; whoever asked has to judge
whether it still held.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false, reportMissingImports=false
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportUndefinedVariable=false
# pyright: reportUnboundVariable=false, reportCallIssue=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnusedFunction=false, reportUnknownArgumentType=false
# ruff: noqa: ANN001, ANN201, ANN202, ANN204, F821, PLW2901, SLF001
# C types are the compiler's, and the names of C come from the .pxd file beside the twin.

from __future__ import annotations

import asyncio.events
import os
import sys
import threading
import time
from contextlib import suppress

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

_RUN = asyncio.events.Handle._run.__code__
_frames_of_threads = sys._current_frames
_IS_LINUX = sys.platform == "linux"
_CPU_CLOCK = 6
"""`CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD_MASK` of the kernel."""
_US_PER_S = 1_000_000


@cython.cclass
class Bell:
    """What the thread that looks sleeps on. Rung once, every wait ends at once."""

    def __init__(self, quiet):
        """`quiet` is a byte: 0 when a look is welcome. Interpreted, whoever waits has to ask for himself."""
        self.silent = 0
        self._quiet = quiet
        if cython.compiled:
            self._lock = PyThread_allocate_lock()
            if self._lock == cython.NULL:
                raise MemoryError
            PyThread_acquire_lock(self._lock, 1)
        else:
            self._bell = threading.Lock()
            self._bell.acquire()

    def __dealloc__(self):
        if cython.compiled and self._lock != cython.NULL:
            PyThread_free_lock(self._lock)

    def ring(self):
        """For any thread, once."""
        if cython.compiled:
            PyThread_release_lock(self._lock)
        else:
            self._bell.release()

    def wait(self, seconds):
        """Sleep so long, from 0 up; true when the bell was rung. For one thread.

        Compiled, a sleep that ends while it is quiet begins again: then nobody is disturbed, not even for the
        interpreter's lock.
        """
        if cython.compiled:
            is_rung = self._slept(int(seconds * _US_PER_S))
        else:
            is_rung = self._bell.acquire(timeout=seconds)
        if is_rung:  # whoever waits next is to see it too
            self.ring()
        return bool(is_rung)

    def _slept(self, duration_us: cython.longlong):
        status: cython.int = 0
        quiet: cython.p_char = PyByteArray_AsString(self._quiet)
        with cython.nogil:
            status = PyThread_acquire_lock_timed(self._lock, duration_us, 0)
            while status == 0 and quiet[0]:
                self.silent += 1
                status = PyThread_acquire_lock_timed(self._lock, _SILENCE_US, 0)
        return status


def hasten():
    """Let the kernel wake this thread at the very moment, not 50 µs later with others. Compiled, on Linux."""
    if cython.compiled and _IS_LINUX:
        prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def cpu_ns(native_ids):
    """CPU time of threads so far, by the kernel's ids; -1 where there is no such clock."""
    if not cython.compiled:
        return [_cpu_ns(native_id) for native_id in native_ids]
    found = []
    clock: cython.long
    now: timespec
    for native_id in native_ids:
        clock = native_id
        if _IS_LINUX and clock and clock_gettime((~clock << 3) | _CPU_CLOCK, cython.address(now)) == 0:
            found.append(now.tv_sec * 1_000_000_000 + now.tv_nsec)
        else:
            found.append(-1)
    return found


def delays_ns(native_ids):
    """How long threads have waited for a processor so far; -1 where nobody tells."""
    if not cython.compiled:
        return [_delay_ns(native_id) for native_id in native_ids]
    found = []
    path: cython.char[64]
    text: cython.char[128]
    delay: cython.longlong
    number: cython.long
    size: cython.Py_ssize_t
    fd: cython.int
    for native_id in native_ids:
        number = native_id
        size = 0
        if _IS_LINUX and number:
            snprintf(path, 64, b"/proc/self/task/%ld/schedstat", number)
            fd = posix_open(path, O_RDONLY | O_CLOEXEC)
            if fd >= 0:
                size = posix_read(fd, text, 127)
                posix_close(fd)
        delay = -1
        if size > 0:
            text[size] = 0
            sscanf(text, b"%*lld %lld", cython.address(delay))
        found.append(delay)
    return found


def _cpu_ns(native_id):
    if not native_id or not _IS_LINUX:
        return -1
    try:
        return time.clock_gettime_ns((~native_id << 3) | _CPU_CLOCK)
    except OSError:  # it has ended
        return -1


def _delay_ns(native_id):
    if not native_id or not _IS_LINUX:
        return -1
    with suppress(OSError, ValueError, IndexError):
        fd = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(fd, 128).split()[1])
        finally:
            os.close(fd)
    return -1


@cython.cfunc
def _contexts():
    """The current context of each thread that has one. Allocates nothing before it holds them all."""
    idents: cython.ulong[_MOST_THREADS]
    held: cython.pointer[PyObject][_MOST_THREADS]
    count: cython.int = 0
    number: cython.int
    state: cython.pointer[PyThreadState] = PyInterpreterState_ThreadHead(PyInterpreterState_Get())
    while state != cython.NULL and count < _MOST_THREADS:
        if state.context != cython.NULL:
            Py_INCREF(state.context)
            idents[count] = state.thread_id
            held[count] = state.context
            count += 1
        state = PyThreadState_Next(state)
    found = {}
    for number in range(count):
        found[idents[number]] = cython.cast(object, held[number])
        Py_DECREF(held[number])
    return found


def take(skipped, depth, variable):
    """All threads but the skipped ones, as they are now.

    Args:
        skipped: idents of threads.
        depth: frames of a stack at most, from the leaf.
        variable: the context variable whose value is wanted; None where none is.

    Returns:
        For each thread its ident; the stack as a flat tuple, `id` of a code object and offset in turn, leaf
        first; its code objects; the variable's value, None where it has none or nobody can know; and the
        place in the stack of the handle whose context that is, -1 where it is the thread's own and certain.
    """
    if not cython.compiled:
        return _taken(skipped, depth, variable, {})
    was_enabled: cython.int = PyGC_Disable()  # a collection may run finalizers, and they other threads
    try:
        return _taken(skipped, depth, variable, {} if variable is None else _contexts())
    finally:
        if was_enabled:
            PyGC_Enable()


def _taken(skipped, depth: cython.Py_ssize_t, variable, contexts):
    taken: cython.Py_ssize_t
    place: cython.Py_ssize_t
    found = []
    for ident, frame in _frames_of_threads().items():
        if ident in skipped:
            continue
        key = []
        codes = []
        taken = 0
        place = -1
        value = None
        if cython.compiled:
            context = contexts.get(ident)
            if context is not None:
                value = context.get(variable)
        while frame is not None and taken < depth:
            code = frame.f_code
            if not cython.compiled and code is _RUN and place < 0 and variable is not None:
                place = taken
                value = _of_handle(frame.f_locals.get("self"), variable)
            codes.append(code)
            key.append(id(code))
            key.append(frame.f_lasti)
            frame = frame.f_back
            taken += 1
        found.append((ident, tuple(key), codes, value, place))
    return found


def _of_handle(handle, variable):
    """The value in the context of a handle; None for one of a loop whose tasks may begin within another's."""
    loop = getattr(handle, "_loop", None)
    if loop is None or getattr(loop, "_task_factory", handle) is not None:
        return None
    context = getattr(handle, "_context", None)
    return None if context is None else context.get(variable)


IS_COMPILED = bool(cython.compiled)
"""Whether contexts are read from the threads themselves."""
