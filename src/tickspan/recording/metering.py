"""Accumulators: what measurements become between two collections, and how they become OTLP bytes.

Interpreted or compiled from this one file (Cython's pure Python mode). An instrument has a `Recorder`,
which finds by one look-up where measurements of the caller's attributes go; a recorder feeds `Stream`s, one
for each view that matches; a stream has a slot for each attribute set, which adds up.

Threads: nothing on the recording side takes a lock or waits. Compiled, a slot is changed by code that calls
no Python, which the GIL makes atomic. Interpreted, a measurement is appended to a queue (one atomic step),
which is folded into the slot by whoever finds it long, and at collection. What is read at collection is
taken out in one step, which adds it to the slot's totals: each measurement is in exactly one interval. There
is one collection at a time. Readers may look at any time, and change nothing: they copy, in one step, totals
and interval.

Arithmetic is the SDK's, to the bit: an interval is added up from zero, then to the total.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportOptionalCall=false, reportUndefinedVariable=false, reportConstantRedefinition=false
# pyright: reportAssignmentType=false, reportUnnecessaryComparison=false, reportMissingModuleSource=false
# C types stand in annotations, and `cython.cimports` exists for the compiler only.

from __future__ import annotations

import itertools
import math
import operator
import threading
from bisect import bisect_left
from collections import deque

from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.guard import Guard
from tickspan.recording.values import clean_attributes
from tickspan.semconv.metrics import OTEL_METRIC_OVERFLOW

from .wire import (
    CUMULATIVE,
    DELTA,
    EXPONENTIAL_ATTRIBUTES,
    HISTOGRAM_ATTRIBUTES,
    NUMBER_ATTRIBUTES,
    encode_attributes,
    encode_bounds,
    encode_exponential_histogram,
    encode_gauge,
    encode_histogram,
    encode_sum,
)

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.mem import PyMem_Free, PyMem_Malloc
    from cython.cimports.libc.math import floor, frexp, ldexp, log
else:
    from math import floor, frexp, ldexp, log

SUM = 1
LAST_VALUE = 2
BUCKETS = 3
EXPONENTIAL = 4

MAX_SERIES = 2_000
"""Attribute sets of one stream; what comes on top is added up in one overflow series."""
MAX_ATTRIBUTES = 128
"""Attributes of one set."""
MAX_ROUTES = 8_192
"""Spellings of attribute sets that are found by one look-up; the table is emptied when it is full."""
_MAX_KEPT_TEXT = 1_024
_FOLD_AT = 512
_WAIT_FOR_FOLD_S = 0.2
_MAX_INT64 = (1 << 63) - 1
_MIN_INT64 = -(1 << 63)
_MIN_NORMAL = 2.2250738585072014e-308
_MIN_EXPONENT = -1022
_MAX_EXPONENT = 1023
_PER_LN2 = 1 / math.log(2)
_HALF = 0.5
_OVERFLOW = "overflow"

_guard = Guard("recording", "metrics")


@cython.cclass
class Slot:
    """One series: an interval that is being added up, and what it takes to tell it as a point."""

    attributes: dict
    _encoded: bytes
    _reservoir: object
    _start_ns: cython.longlong
    _since_ns: cython.longlong
    _is_measured: cython.bint
    _pending: object
    _folding: object
    _has_totals: cython.bint
    _is_total_extra: cython.bint
    _totals_ns: cython.longlong
    _worst: tuple
    _worst_value: cython.double

    def __init__(self, attributes: dict, encoded: bytes, now_ns: int, reservoir: object) -> None:
        self.attributes = attributes
        self._encoded = encoded
        self._reservoir = reservoir
        self._start_ns = now_ns
        self._since_ns = now_ns
        self._is_measured = False
        self._has_totals = False
        self._is_total_extra = False
        self._totals_ns = now_ns
        self._worst = None
        self._worst_value = 0.0
        if not cython.compiled:
            self._pending = deque()
            self._folding = threading.Lock()

    @cython.cfunc
    def put(self, value: object) -> cython.int:
        """Add one measurement: an exact int of 64 bits, or an exact finite float."""
        if cython.compiled:
            return self.apply(value)
        self._pending.append(value)
        if len(self._pending) >= _FOLD_AT and self._folding.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._folding.release()
        return 0

    @cython.cfunc
    def apply(self, value: object) -> cython.int:  # noqa: ARG002 - the subclasses' own
        """Add to the interval. Calls no Python."""
        return 0

    @cython.cfunc
    def move(self) -> cython.int:
        """Take the interval out, in one step that adds it to the totals if there are any; begin the next."""
        return 0

    @cython.cfunc
    def peek(self) -> object:
        """Totals and interval together, copied in one step; None when nothing was measured."""
        return None

    @cython.cfunc
    def point(
        self,
        temporality: cython.int,  # noqa: ARG002 - the subclasses' own
        is_synchronous: cython.bint,  # noqa: ARG002 - the same
        time_ns: cython.longlong,  # noqa: ARG002 - the same
    ) -> object:
        """What `wire` writes as a point, from the interval that was taken out; None when there is none."""
        return None

    @cython.cfunc
    def settle(self) -> cython.bint:
        """Take the interval out; False when it cannot be had now (it stays, for the next collection)."""
        if cython.compiled:
            self.move()
            return True
        if not self._folding.acquire(timeout=_WAIT_FOR_FOLD_S):
            return False  # collected from a signal handler that interrupted a fold
        try:
            self._fold()
            self.move()
        finally:
            self._folding.release()
        return True

    @cython.cfunc
    def seen(self) -> object:
        """What there is to read: a number or a tuple, see `Stream.read`; None when nothing was measured."""
        if cython.compiled:
            return self.peek()
        if not self._folding.acquire(timeout=_WAIT_FOR_FOLD_S):
            return None  # read from a signal handler that interrupted a fold
        try:
            self._fold()
            return self.peek()
        finally:
            self._folding.release()

    @cython.cfunc
    def total_up(self) -> cython.int:
        """Keep totals from this interval on, where the collection needs none."""
        if not self._has_totals:
            self._totals_ns = self._since_ns
            self._is_total_extra = True
            self._has_totals = True
        return 0

    @cython.cfunc
    def consider(self, value: object, direction: cython.int, ids: object, context: object) -> cython.int:
        """Keep a measurement and its trace if it is the worst since the last reading."""
        number: cython.double = value
        if self._worst is not None and (
            number <= self._worst_value if direction > 0 else number >= self._worst_value
        ):
            return 0
        trace_id, span_id = ids(context)
        self._worst_value = number
        self._worst = (value, trace_id, span_id)
        return 0

    @cython.cfunc
    def worst(self) -> tuple:
        """The worst since the last time; None for none."""
        kept: tuple = self._worst
        self._worst = None
        return kept

    @cython.cfunc
    def _fold(self) -> cython.int:
        """Interpreted form: apply what has come so far. The caller holds the lock."""
        for _ in range(len(self._pending)):
            self.apply(self._pending.popleft())
        return 0

    @cython.cfunc
    def _start_of(self, temporality: cython.int, time_ns: cython.longlong) -> cython.longlong:
        """When a point begins; never after its end, even if the clock was set back."""
        start_ns: cython.longlong = self._start_ns
        if temporality == DELTA:
            start_ns = self._since_ns
            self._since_ns = time_ns
        return min(start_ns, time_ns)

    @cython.cfunc
    def offer(self, sample: object) -> cython.int:
        """Consider a measurement as exemplar."""
        if self._reservoir is not None:
            self._reservoir.offer(sample)
        return 0

    @cython.cfunc
    def _exemplars(self) -> object:
        return None if self._reservoir is None else self._reservoir.taken(self.attributes)


@cython.cclass
class SumSlot(Slot):
    """Adds up. Whole numbers stay whole, unless one of them is a float or 64 bits are too few."""

    _whole: cython.longlong
    _real: cython.double
    _is_real: cython.bint
    _is_touched: cython.bint
    _taken: object
    _total: object

    def __init__(self, attributes: dict, encoded: bytes, now_ns: int, reservoir: object) -> None:
        Slot.__init__(self, attributes, encoded, now_ns, reservoir)
        self._whole = 0
        self._real = 0.0
        self._is_real = False
        self._is_touched = False
        self._taken = None
        self._total = 0

    @cython.cfunc
    def apply(self, value: object) -> cython.int:
        """Add to the interval. Calls no Python."""
        whole: cython.longlong
        self._is_touched = True
        if type(value) is float:
            if not self._is_real:
                self._is_real = True
                self._real = float(self._whole)
            self._real += value
            return 0
        whole = value
        if self._is_real:
            self._real += float(whole)
        elif self._whole > _MAX_INT64 - whole if whole > 0 else self._whole < _MIN_INT64 - whole:
            self._is_real = True
            self._real = float(self._whole) + float(whole)
        else:
            self._whole += whole
        return 0

    @cython.cfunc
    def move(self) -> cython.int:
        """Take the interval out, in one step, and begin the next."""
        is_touched: cython.bint = self._is_touched
        is_real: cython.bint = self._is_real
        whole: cython.longlong = self._whole
        real: cython.double = self._real
        self._is_touched = False
        self._is_real = False
        self._whole = 0
        self._real = 0.0
        self._taken = None
        if is_touched:
            self._is_measured = True
            self._taken = real if is_real else whole
            if self._has_totals:
                self._total = self._taken + self._total
        return 0

    @cython.cfunc
    def peek(self) -> object:
        """The sum so far."""
        if not (self._is_touched or self._is_measured):
            return None
        if not self._is_touched:
            return self._total
        if self._is_real:
            return self._real + self._total
        return self._whole + self._total

    @cython.cfunc
    def point(self, temporality: cython.int, is_synchronous: cython.bint, time_ns: cython.longlong) -> object:
        """A sum's point."""
        value = self._taken
        if not self._is_measured or (value is None and not is_synchronous):
            return None
        start_ns: cython.longlong = self._start_of(temporality, time_ns)
        if is_synchronous and temporality == CUMULATIVE:
            value = self._total
        elif value is None:
            return None
        elif not is_synchronous and temporality == DELTA:
            value, self._total = value - self._total, value
        return (self._encoded, start_ns, _of_64_bits(value), self._exemplars())


@cython.cclass
class LastSlot(Slot):
    """Keeps the latest value."""

    _value: object
    _taken: object
    _latest: object

    def __init__(self, attributes: dict, encoded: bytes, now_ns: int, reservoir: object) -> None:
        Slot.__init__(self, attributes, encoded, now_ns, reservoir)
        self._value = None
        self._taken = None
        self._latest = None

    @cython.cfunc
    def apply(self, value: object) -> cython.int:
        """Add to the interval. Calls no Python."""
        self._value = value
        return 0

    @cython.cfunc
    def move(self) -> cython.int:
        """Take the interval out, in one step, and begin the next."""
        latest = self._value
        self._value = None
        if latest is not None:
            self._taken = latest
            self._latest = latest
        return 0

    @cython.cfunc
    def peek(self) -> object:
        """The latest value."""
        return self._latest if self._value is None else self._value

    @cython.cfunc
    def point(
        self,
        temporality: cython.int,
        is_synchronous: cython.bint,
        time_ns: cython.longlong,  # noqa: ARG002 - others need it
    ) -> object:
        """As of the last measurement."""
        value = self._taken
        if value is None:
            return None
        if not (is_synchronous and temporality == CUMULATIVE):
            self._taken = None
        return (self._encoded, 0, value, self._exemplars())


@cython.cclass
class _Bounds:
    """Boundaries of buckets; a bucket includes its upper one."""

    encoded: bytes
    size: cython.Py_ssize_t
    _values: tuple
    _data: cython.p_double

    def __init__(self, values: tuple) -> None:
        self.encoded = encode_bounds(values)
        self.size = len(values)
        self._values = values
        if cython.compiled:
            room: cython.size_t = (self.size + 1) * cython.sizeof(cython.double)
            self._data = cython.cast(cython.p_double, PyMem_Malloc(room))
            if self._data is cython.NULL:
                raise MemoryError
            i: cython.Py_ssize_t
            for i in range(self.size):
                self._data[i] = values[i]

    def __dealloc__(self) -> None:
        PyMem_Free(self._data)

    @cython.cfunc
    def bucket_of(self, value: cython.double) -> cython.Py_ssize_t:
        if cython.compiled:
            low: cython.Py_ssize_t = 0
            high: cython.Py_ssize_t = self.size
            while low < high:
                middle: cython.Py_ssize_t = (low + high) >> 1
                if self._data[middle] < value:
                    low = middle + 1
                else:
                    high = middle
            return low
        return bisect_left(self._values, value)


@cython.cclass
class BucketSlot(Slot):
    """A histogram with explicit boundaries."""

    _bounds: _Bounds
    _has_extremes: cython.bint
    _counts: list
    _count: cython.longlong
    _sum: cython.double
    _min: cython.double
    _max: cython.double
    _taken: tuple
    _total_counts: list
    _total_sum: cython.double
    _total_min: cython.double
    _total_max: cython.double

    def __init__(
        self,
        attributes: dict,
        encoded: bytes,
        now_ns: int,
        reservoir: object,
        bounds: _Bounds,
        has_extremes: bool,
    ) -> None:
        Slot.__init__(self, attributes, encoded, now_ns, reservoir)
        self._bounds = bounds
        self._has_extremes = has_extremes
        self._counts = [0] * (bounds.size + 1)
        self._begin()
        self._taken = ()
        self._total_counts = [0] * (bounds.size + 1)
        self._total_sum = 0.0
        self._total_min = math.inf
        self._total_max = -math.inf

    @cython.cfunc
    def _begin(self) -> cython.int:
        self._count = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = -math.inf
        return 0

    @cython.cfunc
    def apply(self, value: object) -> cython.int:
        """Add to the interval. Calls no Python."""
        number: cython.double = value
        bucket: cython.Py_ssize_t = self._bounds.bucket_of(number)
        self._counts[bucket] += 1
        self._count += 1
        self._sum += number
        self._min = min(self._min, number)
        self._max = max(self._max, number)
        return 0

    @cython.cfunc
    def move(self) -> cython.int:
        """Take the interval out, in one step, and begin the next."""
        fresh: list = [0] * (self._bounds.size + 1)  # made first: an allocation may run foreign finalisers
        counts: list = self._counts
        count: cython.longlong = self._count
        added: cython.double = self._sum
        low: cython.double = self._min
        high: cython.double = self._max
        self._counts = fresh
        self._begin()
        if count:
            self._is_measured = True
            if self._has_totals:
                _add_counts(self._total_counts, counts)
                self._total_sum = added + self._total_sum
                self._total_min = min(low, self._total_min)
                self._total_max = max(high, self._total_max)
        self._taken = (count, added, low, high, counts) if count else ()
        return 0

    @cython.cfunc
    def peek(self) -> object:
        """Sum, count, and the count of each bucket so far."""
        if not (self._count or self._is_measured):
            return None
        counts: list = [0] * (self._bounds.size + 1)  # made first, as in `move`
        _add_counts(counts, self._total_counts)
        _add_counts(counts, self._counts)
        added: cython.double = self._sum + self._total_sum
        return (added, sum(counts), counts)

    @cython.cfunc
    def point(
        self,
        temporality: cython.int,
        is_synchronous: cython.bint,  # noqa: ARG002 - others need it
        time_ns: cython.longlong,
    ) -> object:
        """A histogram's point."""
        taken: tuple = self._taken
        if not self._is_measured:
            return None
        start_ns: cython.longlong = self._start_of(temporality, time_ns)
        if temporality == DELTA:
            return self._told(start_ns, taken[0], taken[1], taken[2], taken[3], taken[4]) if taken else None
        return self._told(
            start_ns,
            sum(self._total_counts),
            self._total_sum,
            self._total_min,
            self._total_max,
            self._total_counts,
        )

    @cython.cfunc
    def _told(
        self, start_ns: cython.longlong, count: object, added: object, low: object, high: object, counts: list
    ) -> tuple:
        if not self._has_extremes:
            low = high = None
        bounds = self._bounds.encoded
        return (self._encoded, start_ns, count, added, low, high, counts, bounds, self._exemplars())


@cython.cfunc
def _add_counts(total: list, counts: list) -> cython.int:
    """Add up in place. Makes no container, so that nothing foreign runs."""
    i: cython.Py_ssize_t
    for i in range(len(total)):
        total[i] += counts[i]
    return 0


@cython.cclass
class _Range:
    """Counts of neighbouring buckets, the first of which has the index `low`; room for `size` of them."""

    low: cython.longlong
    used: cython.Py_ssize_t
    size: cython.Py_ssize_t
    _counts: list

    def __init__(self, size: int) -> None:
        self.low = 0
        self.used = 0
        self.size = size
        self._counts = [0] * size

    @cython.cfunc
    def overflow_with(self, low: cython.longlong, high: cython.longlong) -> cython.int:
        """By how many steps the scale must fall for `low` to `high` to fit beside what is there."""
        if self.used:
            low = min(low, self.low)
            high = max(high, self.low + self.used - 1)
        return _excess(low, high, self.size)

    @cython.cfunc
    def add(self, index: cython.longlong, count: object) -> cython.int:
        """Count in a bucket that fits. Makes no container, so that nothing foreign runs."""
        i: cython.Py_ssize_t
        shift: cython.Py_ssize_t
        if not self.used:
            self.low = index
            self.used = 1
        elif index < self.low:
            shift = self.low - index
            for i in range(self.used - 1, -1, -1):
                self._counts[i + shift] = self._counts[i]
            for i in range(min(shift, self.used)):
                self._counts[i] = 0
            for i in range(self.used, shift):
                self._counts[i] = 0
            self.low = index
            self.used += shift
        elif index >= self.low + self.used:
            self.used = index - self.low + 1
        i = index - self.low
        self._counts[i] += count
        return 0

    @cython.cfunc
    def downscale(self, steps: cython.int) -> cython.int:
        """Collapse each 2 ** steps buckets into one."""
        if not self.used or not steps:
            return 0
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        low: cython.longlong = self.low >> steps
        for i in range(self.used):
            at = ((self.low + i) >> steps) - low
            if at != i:
                self._counts[at] += self._counts[i]
                self._counts[i] = 0
        self.used = ((self.low + self.used - 1) >> steps) - low + 1
        self.low = low
        return 0

    @cython.cfunc
    def merge(self, other: _Range, steps: cython.int) -> cython.int:
        """Add the counts of a range whose scale is higher by `steps`. All of it fits."""
        i: cython.Py_ssize_t
        for i in range(other.used):
            if other._counts[i]:
                self.add((other.low + i) >> steps, other._counts[i])
        return 0

    @cython.cfunc
    def copy_from(self, other: _Range) -> cython.int:
        """Be as another range that is not larger. Makes no container."""
        i: cython.Py_ssize_t
        for i in range(other.used):
            self._counts[i] = other._counts[i]
        self.low = other.low
        self.used = other.used
        return 0

    @cython.cfunc
    def counts(self) -> list:
        return self._counts[: self.used]


_NOTHING: _Range = _Range(0)
"""Stands for no buckets; nothing is ever counted in it."""


@cython.cfunc
def _excess(low: cython.longlong, high: cython.longlong, size: cython.Py_ssize_t) -> cython.int:
    steps: cython.int = 0
    while high - low >= size:
        low >>= 1
        high >>= 1
        steps += 1
    return steps


@cython.cfunc
def _index_of(value: cython.double, scale: cython.int) -> cython.longlong:
    """The bucket of a positive number: the largest i with base ** i < value; base is 2 ** (2 ** -scale)."""
    exponent: cython.int = 0
    one: cython.longlong = 1
    index: cython.longlong
    fraction: cython.double
    if cython.compiled:
        fraction = frexp(value, cython.address(exponent))
    else:
        fraction, exponent = frexp(value)
    exponent -= 1
    if scale > 0:
        if value <= _MIN_NORMAL:
            return _MIN_EXPONENT * (one << scale) - 1
        if fraction == _HALF:
            return exponent * (one << scale) - 1
        index = cython.cast(cython.longlong, floor(log(value) * ldexp(_PER_LN2, scale)))
        return min(index, (_MAX_EXPONENT + 1) * (one << scale) - 1)
    if value < _MIN_NORMAL:
        index = _MIN_EXPONENT >> -scale
        return index - 1 if scale > -2 else index  # there 2 ** -1022 is itself a boundary
    return (exponent - (1 if fraction == _HALF else 0)) >> -scale


@cython.cclass
class ExponentialSlot(Slot):
    """A histogram whose buckets grow by a factor, which doubles until the measured range fits.

    Zeros have no bucket and no say in the scale. (In the SDK an interval of zeros sets it to 0 for good.)
    """

    _size: cython.int
    _has_extremes: cython.bint
    _scale: cython.int
    _positive: _Range
    _negative: _Range
    _zeros: cython.longlong
    _count: cython.longlong
    _sum: cython.double
    _min: cython.double
    _max: cython.double
    _taken: tuple
    _total_scale: cython.int
    _total_positive: _Range
    _total_negative: _Range
    _total_zeros: cython.longlong
    _total_count: cython.longlong
    _total_sum: cython.double
    _total_min: cython.double
    _total_max: cython.double

    def __init__(
        self,
        attributes: dict,
        encoded: bytes,
        now_ns: int,
        reservoir: object,
        size: int,
        scale: int,
        has_extremes: bool,
    ) -> None:
        Slot.__init__(self, attributes, encoded, now_ns, reservoir)
        self._size = size
        self._has_extremes = has_extremes
        self._scale = scale
        self._positive = _NOTHING
        self._negative = _NOTHING
        self._begin()
        self._taken = ()
        self._total_scale = scale
        self._total_positive = _NOTHING
        self._total_negative = _NOTHING
        self._total_zeros = 0
        self._total_count = 0
        self._total_sum = 0.0
        self._total_min = math.inf
        self._total_max = -math.inf

    @cython.cfunc
    def _begin(self) -> cython.int:
        self._zeros = 0
        self._count = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = -math.inf
        return 0

    @cython.cfunc
    def apply(self, value: object) -> cython.int:
        """Add to the interval. Calls no Python."""
        number: cython.double = value
        side: _Range
        index: cython.longlong
        steps: cython.int
        if (number > 0 and not self._positive.size) or (number < 0 and not self._negative.size):
            self._make_room(number > 0)
        self._count += 1
        self._sum += number
        self._min = min(self._min, number)
        self._max = max(self._max, number)
        if number == 0:
            self._zeros += 1
            return 0
        if number > 0:
            side = self._positive
        else:
            side = self._negative
            number = -number
        index = _index_of(number, self._scale)
        steps = side.overflow_with(index, index)
        if steps:
            self._positive.downscale(steps)
            self._negative.downscale(steps)
            self._scale -= steps
            index = _index_of(number, self._scale)
        side.add(index, 1)
        return 0

    @cython.cfunc
    def _make_room(self, is_positive: cython.bint) -> cython.int:
        fresh: _Range = _Range(self._size)  # made first: an allocation may run foreign finalisers
        if is_positive and not self._positive.size:
            self._positive = fresh
        elif not is_positive and not self._negative.size:
            self._negative = fresh
        return 0

    @cython.cfunc
    def move(self) -> cython.int:
        """Take the interval out, in one step, and begin the next."""
        # The scale that was needed stays for the next interval. A range that is taken is nobody else's: the
        # totals beside delta points get copies.
        above: _Range = _NOTHING
        below: _Range = _NOTHING
        if self._is_total_extra:
            above = _Range(self._size)
            below = _Range(self._size)
        positive: _Range = self._positive
        negative: _Range = self._negative
        count: cython.longlong = self._count
        zeros: cython.longlong = self._zeros
        scale: cython.int = self._scale
        added: cython.double = self._sum
        low: cython.double = self._min
        high: cython.double = self._max
        self._positive = _NOTHING
        self._negative = _NOTHING
        self._begin()
        if count:
            self._is_measured = True
            if self._is_total_extra:
                above.copy_from(positive)
                below.copy_from(negative)
                self._add_to_total(count, added, low, high, zeros, scale, above, below)
            elif self._has_totals:
                self._add_to_total(count, added, low, high, zeros, scale, positive, negative)
        self._taken = (count, added, low, high, scale, zeros, positive, negative) if count else ()
        return 0

    @cython.cfunc
    def peek(self) -> object:
        """Sum, count, scale, zeros, and first bucket and counts above and below zero so far."""
        if not (self._count or self._is_measured):
            return None
        # made first, as in `move`
        positive: _Range = _Range(self._size)
        negative: _Range = _Range(self._size)
        above: _Range = _Range(self._size)
        below: _Range = _Range(self._size)
        count: cython.longlong = self._count + self._total_count
        added: cython.double = self._sum + self._total_sum
        zeros: cython.longlong = self._zeros + self._total_zeros
        scale: cython.int = self._total_scale
        positive.copy_from(self._total_positive)
        negative.copy_from(self._total_negative)
        if self._positive.used or self._negative.used:
            above.copy_from(self._positive)
            below.copy_from(self._negative)
            scale = _common_scale(positive, negative, scale, above, below, self._scale)
            positive = _merged(positive, self._total_scale, above, self._scale, scale)
            negative = _merged(negative, self._total_scale, below, self._scale, scale)
        return (added, count, scale, zeros, positive.low, positive.counts(), negative.low, negative.counts())

    @cython.cfunc
    def point(
        self,
        temporality: cython.int,
        is_synchronous: cython.bint,  # noqa: ARG002 - others need it
        time_ns: cython.longlong,
    ) -> object:
        """A histogram's point."""
        taken: tuple = self._taken
        if not self._is_measured:
            return None
        start_ns: cython.longlong = self._start_of(temporality, time_ns)
        if temporality == DELTA:
            return self._told(start_ns, *taken) if taken else None
        return self._told(
            start_ns,
            self._total_count,
            self._total_sum,
            self._total_min,
            self._total_max,
            self._total_scale,
            self._total_zeros,
            self._total_positive,
            self._total_negative,
        )

    @cython.cfunc
    def _add_to_total(
        self,
        count: cython.longlong,
        added: cython.double,
        low: cython.double,
        high: cython.double,
        zeros: cython.longlong,
        scale: cython.int,
        positive: _Range,
        negative: _Range,
    ) -> cython.int:
        """Add an interval, whose ranges are given away."""
        common: cython.int
        self._total_count += count
        self._total_sum = added + self._total_sum
        self._total_min = min(low, self._total_min)
        self._total_max = max(high, self._total_max)
        self._total_zeros += zeros
        if not positive.used and not negative.used:
            return 0
        common = _common_scale(
            self._total_positive, self._total_negative, self._total_scale, positive, negative, scale
        )
        self._total_positive = _merged(self._total_positive, self._total_scale, positive, scale, common)
        self._total_negative = _merged(self._total_negative, self._total_scale, negative, scale, common)
        self._total_scale = common
        return 0

    def _told(self, start_ns, count, added, low, high, scale, zeros, positive: _Range, negative: _Range):
        if not self._has_extremes:
            low = high = None
        has_buckets: cython.bint = positive.used or negative.used
        return (
            self._encoded,
            start_ns,
            count,
            added,
            low,
            high,
            scale if has_buckets else 0,
            zeros,
            positive.low if positive.used else 0,
            positive.counts(),
            negative.low if negative.used else 0,
            negative.counts(),
            self._exemplars(),
        )


@cython.cfunc
def _excess_of(
    total: _Range, total_scale: cython.int, other: _Range, scale: cython.int, common: cython.int
) -> cython.int:
    """By how many steps both ranges, brought to a common scale, are too wide to be one."""
    low: cython.longlong
    high: cython.longlong
    if not other.used or not total.used:
        return 0
    low = min(total.low >> (total_scale - common), other.low >> (scale - common))
    high = max(
        (total.low + total.used - 1) >> (total_scale - common),
        (other.low + other.used - 1) >> (scale - common),
    )
    return _excess(low, high, total.size)


@cython.cfunc
def _common_scale(
    positive: _Range,
    negative: _Range,
    scale: cython.int,
    other_positive: _Range,
    other_negative: _Range,
    other_scale: cython.int,
) -> cython.int:
    """The highest scale at which two pairs of ranges fit into one."""
    common: cython.int = min(other_scale, scale)
    return common - max(
        _excess_of(positive, scale, other_positive, other_scale, common),
        _excess_of(negative, scale, other_negative, other_scale, common),
    )


@cython.cfunc
def _merged(
    total: _Range, total_scale: cython.int, other: _Range, scale: cython.int, common: cython.int
) -> _Range:
    """Both at the common scale, at which they fit. `other` is given away."""
    if not total.used:
        other.downscale(scale - common)
        return other
    total.downscale(total_scale - common)
    total.merge(other, scale - common)
    return total


@cython.cfunc
def _of_64_bits(value: object) -> object:
    """A sum as OTLP can hold it."""
    if type(value) is int and not _MIN_INT64 <= value <= _MAX_INT64:
        return float(value)
    return value


def _frozen(value: object) -> object:
    """A clean value so that what is equal to Python only, such as 1, 1.0 and True, is not equal here."""
    kind = type(value)
    if kind is str:
        return value
    if kind is float and value != value:  # noqa: PLR0124 - NaN
        return (float, "NaN")
    if kind is tuple or kind is list:
        return (tuple, tuple([_frozen(item) for item in value]))
    if kind is dict:
        return (dict, frozenset([(key, _frozen(item)) for key, item in value.items()]))
    return (kind, value)


@cython.cclass
class Stream:
    """One metric stream: an instrument's measurements as one view wants them.

    Safe from any thread; collection (`chunks`, `encode`) is called by one at a time.
    """

    name = cython.declare(str, visibility="readonly")
    _description: str
    _unit: str
    _kind: cython.int
    _temporality: cython.int
    _is_monotonic: cython.bint
    _is_synchronous: cython.bint
    _keys: object
    _limit: object
    _bounds: _Bounds
    _size: cython.int
    _scale: cython.int
    _has_extremes: cython.bint
    _new_reservoir: object
    _clock: object
    _on_first: object
    _series: dict
    _former: list
    _tickets: object
    _refusals: object
    _refused: object
    _is_told: cython.bint
    _has_totals: cython.bint
    _is_read: cython.bint

    def __init__(
        self,
        name: str,
        description: str,
        unit: str,
        kind: int,
        temporality: int,
        is_monotonic: bool,
        is_synchronous: bool,
        clock: object,
        keys: object = None,
        limit: int = MAX_SERIES,
        bounds: tuple = (),
        size: int = 160,
        scale: int = 20,
        has_extremes: bool = True,
        new_reservoir: object = None,
        on_first: object = None,
    ) -> None:
        """Make a stream without series.

        Args:
            name: of the metric.
            description: of the metric.
            unit: of the metric.
            kind: `SUM`, `LAST_VALUE`, `BUCKETS` or `EXPONENTIAL`.
            temporality: `wire.DELTA` or `wire.CUMULATIVE`.
            is_monotonic: of a sum.
            is_synchronous: whether measurements are increments, not totals that were observed.
            clock: wall-clock nanoseconds since the epoch.
            keys: the attributes that count; None is all.
            limit: attribute sets, beside the overflow.
            bounds: of `BUCKETS`, strictly increasing floats.
            size: how many buckets `EXPONENTIAL` has on each side of zero, 2 to 16,384.
            scale: that `EXPONENTIAL` starts with, -10 to 20.
            has_extremes: whether histograms tell minimum and maximum.
            new_reservoir: makes what keeps exemplars of a series; None keeps none.
            on_first: called when a first series is about to be, here and in a forked child.
        """
        self.name = name
        self._description = description
        self._unit = unit
        self._kind = kind
        self._temporality = temporality
        self._is_monotonic = is_monotonic
        self._is_synchronous = is_synchronous
        self._clock = clock
        self._keys = keys
        self._limit = limit
        self._bounds = _Bounds(bounds)
        self._size = size
        self._scale = scale
        self._has_extremes = has_extremes
        self._new_reservoir = new_reservoir
        self._on_first = on_first
        self._former = []
        self._is_told = False
        self._has_totals = temporality == CUMULATIVE and (is_synchronous or kind != SUM)
        self._is_read = False
        self._start()

    @cython.cfunc
    def _start(self) -> cython.int:
        self._series = {}
        self._tickets = itertools.count()
        self._refusals = itertools.count(1)
        self._refused = 0
        return 0

    def restart(self) -> None:
        """Forget every series: this is a forked child. Quick: they are freed at the next collection."""
        self._former.append(self._series)
        self._start()

    def chunks(self, points: int, size_bytes: int) -> list:
        """The series that there are now, in lists for `encode`: of so many points, of about that size."""
        self._former.clear()
        slot: Slot
        chunks: list = []
        chunk: list = []
        most: cython.Py_ssize_t = points
        room: cython.Py_ssize_t = size_bytes
        size: cython.Py_ssize_t = 0
        for slot in list(self._series.values()):
            if chunk and (len(chunk) >= most or size > room):
                chunks.append(chunk)
                chunk = []
                size = 0
            chunk.append(slot)
            size += len(slot._encoded)
        if chunk:
            chunks.append(chunk)
        return chunks

    def encode(self, slots: list, time_ns: int) -> tuple:
        """Some series, from `chunks`, as a `Metric` entry of `ScopeMetrics`, and how many points it has.

        Nothing was measured: `(b"", 0)`.
        """
        points: list = []
        slot: Slot
        for slot in slots:
            if slot.settle():
                point = slot.point(self._temporality, self._is_synchronous, time_ns)
                if point is not None:
                    points.append(point)
        return (self._encoded(points, time_ns), len(points)) if points else (b"", 0)

    def _encoded(self, points: list, time_ns: object) -> bytes:
        if self._kind == SUM:
            return encode_sum(
                *(self.name, self._description, self._unit, time_ns, points),
                self._temporality,
                self._is_monotonic,
            )
        if self._kind == LAST_VALUE:
            return encode_gauge(self.name, self._description, self._unit, time_ns, points)
        encode = encode_histogram if self._kind == BUCKETS else encode_exponential_histogram
        return encode(self.name, self._description, self._unit, time_ns, points, self._temporality)

    @property
    def shape(self) -> tuple:
        """(kind, whether a sum is monotonic, whether measurements are increments, bounds, unit)."""
        return (self._kind, self._is_monotonic, self._is_synchronous, self._bounds._values, self._unit)

    def series(self) -> list:
        """The series that there are now, for `read`."""
        return list(self._series.values())

    def read(self, slots: list, takes_worst: bool = False) -> list:
        """What some series have come to, from their start or, of delta streams, from the first reading on.

        Collection is not disturbed, and may run at the same time. Sums that are observed are not read: their
        intervals are no increments.

        Args:
            slots: of `series`; a C loop without pause looks at them.
            takes_worst: whether the next reading looks for another worst measurement.

        Returns:
            (attributes, start in nanoseconds, value, worst) of each that was measured. The value is a number;
            of explicit buckets (sum, count, counts); of exponential ones (sum, count, scale, zeros, index of
            the first positive bucket, counts, index of the first negative one, counts). The worst is (value,
            trace id, span id), or None.
        """
        slot: Slot
        if self._kind == SUM and not self._is_synchronous:
            return []
        if not (self._has_totals or self._is_read):
            self._is_read = True
            for slot in self.series():
                slot.total_up()
        found: list = []
        for slot in slots:
            value = slot.seen()
            if value is not None:
                found.append((slot.attributes, slot._totals_ns, value, slot.worst() if takes_worst else None))
        return found

    def observed(self, slots: list) -> list:
        """(attributes, value) of each series of a sum that is observed, as of the last collection.

        Args:
            slots: of `series`.
        """
        slot: SumSlot
        found: list = []
        if self._kind == SUM and not self._is_synchronous:
            for slot in slots:
                value = slot._taken
                if value is not None:
                    found.append((slot.attributes, value))
        return found

    def cardinality(self) -> tuple:
        """(metric, limit, attribute sets refused, attributes of each set that is kept)."""
        kept: list = [_attributes_of(slot) for slot in list(self._series.values())]
        return (self.name, self._limit, self._refused, kept)

    def newly_refused(self) -> bool:
        """Whether sets were refused, the first time that this is so."""
        if self._is_told or not self._refused:
            return False
        self._is_told = True
        return True

    @cython.cfunc
    def slot(self, attributes: dict) -> Slot:
        """The series of clean attributes, or the overflow."""
        if self._keys is not None:
            attributes = {key: value for key, value in attributes.items() if key in self._keys}
        key = frozenset([(name, _frozen(value)) for name, value in attributes.items()])
        found = self._series.get(key)
        return self._added(key, attributes) if found is None else found

    @cython.cfunc
    def _added(self, key: object, attributes: dict) -> Slot:
        if not self._series and self._on_first is not None:
            self._on_first()
        if next(self._tickets) < self._limit:
            return self._series.setdefault(key, self._new_slot(attributes))
        self._refused = next(self._refusals)
        overflow = self._series.get(_OVERFLOW)
        if overflow is None:
            return self._series.setdefault(_OVERFLOW, self._new_slot({OTEL_METRIC_OVERFLOW: True}))
        return overflow

    @cython.cfunc
    def _new_slot(self, attributes: dict) -> Slot:
        slot: Slot = self._made(attributes)
        slot._has_totals = self._has_totals
        if self._is_read:
            slot.total_up()
        return slot

    @cython.cfunc
    def _made(self, attributes: dict) -> Slot:
        now_ns = self._clock()
        reservoir = None if self._new_reservoir is None else self._new_reservoir()
        if self._kind == BUCKETS:
            encoded = encode_attributes(HISTOGRAM_ATTRIBUTES, attributes)
            return BucketSlot(attributes, encoded, now_ns, reservoir, self._bounds, self._has_extremes)
        if self._kind == EXPONENTIAL:
            encoded = encode_attributes(EXPONENTIAL_ATTRIBUTES, attributes)
            return ExponentialSlot(
                attributes, encoded, now_ns, reservoir, self._size, self._scale, self._has_extremes
            )
        encoded = encode_attributes(NUMBER_ATTRIBUTES, attributes)
        if self._kind == SUM:
            return SumSlot(attributes, encoded, now_ns, reservoir)
        return LastSlot(attributes, encoded, now_ns, reservoir)


@cython.cfunc
def _attributes_of(slot: Slot) -> dict:
    return slot.attributes


@cython.cclass
class _Route:
    """Where the measurements of one spelling of an attribute set go."""

    first: Slot
    others: tuple
    kinds: tuple

    def __init__(self, first: Slot, others: tuple, kinds: tuple) -> None:
        self.first = first
        self.others = others
        self.kinds = kinds

    @cython.cfunc
    def fits(self, attributes: dict) -> cython.bint:
        """Whether the values have the very types of the first ones: 1, 1.0 and True are one key to a dict."""
        i: cython.Py_ssize_t
        for i, value in enumerate(attributes.values()):  # noqa: SIM110 - no closure in a C function
            if type(value) is not self.kinds[i]:
                return False
        return True

    @cython.cfunc
    def put(self, value: object) -> cython.int:
        slot: Slot
        self.first.put(value)
        if self.others:
            for slot in self.others:
                slot.put(value)
        return 0

    @cython.cfunc
    def consider(self, value: object, direction: cython.int, ids: object, context: object) -> cython.int:
        slot: Slot
        self.first.consider(value, direction, ids, context)
        for slot in self.others:
            slot.consider(value, direction, ids, context)
        return 0

    @cython.cfunc
    def offer(self, sample: object) -> cython.int:
        slot: Slot
        self.first.offer(sample)
        for slot in self.others:
            slot.offer(sample)
        return 0


def _no_sample(value: object, attributes: object, context: object) -> None:
    """A sampler that picks nothing."""


def _as_number(amount: object, kind: object) -> object:
    """A number of another type, or one too big for 64 bits, as int or float; None if it is none."""
    number = None
    try:
        if issubclass(kind, float):
            number = float.__float__(amount)
        elif issubclass(kind, int):
            number = int.__int__(amount)
        elif hasattr(kind, "__index__"):
            number = operator.index(amount)
        elif hasattr(kind, "__float__"):
            number = float(amount)
        return number if type(number) is not int else _of_64_bits(number)
    except Exception:  # noqa: BLE001 - foreign numbers convert as they like
        return None


@cython.cclass
class Recorder:
    """The recording side of one instrument. Safe from any thread, re-entrant; does not raise or wait.

    `sample` picks exemplars: (value, attributes, context) to what reservoirs are offered, or None. `also`
    gets every measurement as it was given: it stands for readers of another make. Neither raises.
    """

    sample = cython.declare(object, visibility="public")
    also = cython.declare(object, visibility="public")
    is_enabled = cython.declare(cython.bint, visibility="public")
    _name: str
    _forbids_negative: cython.bint
    _streams: list
    _routes: dict
    _plain: _Route
    _epoch: cython.longlong
    _refusals: object
    _refused: object
    _direction: cython.int
    _ids: object

    def __init__(self, name: str, streams: list, forbids_negative: bool) -> None:
        """Make a recorder.

        Args:
            name: of the instrument, for messages.
            streams: that it feeds; none when views drop it.
            forbids_negative: whether values below zero are refused.
        """
        self.sample = None
        self.also = None
        self.is_enabled = True
        self._name = name
        self._forbids_negative = forbids_negative
        self._streams = streams
        self._epoch = 0
        self._refusals = itertools.count(1)
        self._refused = 0
        self._routes = {}
        self._plain = None
        self._direction = 0
        self._ids = None

    def watch(self, direction: int, ids: object) -> None:
        """Keep the worst measurement of each series, for `Stream.read`. Who is not watched pays nothing.

        Args:
            direction: 1 where greater is worse, -1 where less is; 0 ends it.
            ids: from a context, or None, to (trace id, span id); it does not raise.
        """
        self._ids = ids
        self._direction = direction
        if direction and self.sample is None:
            self.sample = _no_sample
        elif not direction and self.sample is _no_sample:
            self.sample = None

    def restart(self) -> None:
        """Start at zero, at once: this is a forked child."""
        self._routes = {}
        self._plain = None
        self._epoch += 1
        stream: Stream
        for stream in self._streams:
            stream.restart()

    def refused(self) -> int:
        """How many measurements were no usable numbers."""
        return self._refused

    def measure(self, amount: object, attributes: object = None, context: object = None) -> None:
        """Record one measurement: `add`, `record`, `set`, or one that a callback observed."""
        route: _Route
        if self.is_enabled and self._streams:
            value = self._usable(amount)
            if value is not None:
                route = self._route(attributes)
                if route is not None:
                    route.put(value)
                    if self.sample is not None:
                        self._sample(route, value, attributes, context)
        if self.also is not None:
            self.also(amount, attributes, context)

    @cython.cfunc
    def _sample(self, route: _Route, value: object, attributes: object, context: object) -> cython.int:
        if self._direction:
            route.consider(value, self._direction, self._ids, context)
        sample = self.sample(value, attributes, context)
        if sample is not None:
            route.offer(sample)
        return 0

    def bind(self, attributes: object = None) -> Bound:
        """These attributes' series, found once and for all."""
        return Bound(self, attributes)

    @cython.cfunc
    @cython.inline
    def _usable(self, amount: object) -> object:
        """An exact int of 64 bits or finite float; None (counted, told once) for anything else."""
        if type(amount) is float:
            real: cython.double = amount
            if real - real == 0.0 and (real >= 0.0 or not self._forbids_negative):  # else infinite, or NaN
                return amount
        elif type(amount) is int:
            if cython.compiled:
                whole: cython.longlong
                try:
                    whole = amount
                except OverflowError:
                    return self._odd(amount)
                if whole >= 0 or not self._forbids_negative:
                    return amount
            elif _MIN_INT64 <= amount <= _MAX_INT64 and (amount >= 0 or not self._forbids_negative):
                return amount
        return self._odd(amount)

    def _odd(self, amount: object) -> object:
        """What `_usable` could not take as it is."""
        kind = type(amount)
        if kind is float:
            return self._refuse("a negative value" if math.isfinite(amount) else "a value that is not finite")
        if kind is int and _MIN_INT64 <= amount <= _MAX_INT64:
            return self._refuse("a negative value")
        number = _as_number(amount, kind)
        return self._refuse("what is no number") if number is None else self._usable(number)

    def _refuse(self, what: str) -> None:
        number = next(self._refusals)
        self._refused = number
        if number == 1:
            try:
                diagnostics.warning("instrument '%s' was given %s; it is ignored", self._name, what)
            except Exception:  # noqa: BLE001 - a handler or filter of the application's may raise
                return

    @cython.cfunc
    @cython.inline
    def _route(self, attributes: object) -> _Route:
        route: _Route
        if attributes is None:
            return self._plain_route() if self._plain is None else self._plain
        if type(attributes) is dict:
            try:
                route = self._routes.get(tuple(attributes.items()))
                if route is not None and route.kinds and not route.fits(attributes):
                    route = None
            except Exception:  # noqa: BLE001 - values that have no hash, or raise; a change by another thread
                route = None
            if route is not None:
                return route
        return _guard.own(self._new_route, attributes, default=None)

    @cython.cfunc
    def _plain_route(self) -> _Route:
        self._plain = _guard.own(self._new_route, {}, default=None)
        return self._plain

    def _new_route(self, attributes: object) -> _Route:
        """The route of attributes in a spelling that was not seen yet, or is too odd to be kept."""
        slots: list = []
        stream: Stream
        cleaned: dict = clean_attributes(attributes)
        if len(cleaned) > MAX_ATTRIBUTES:
            cleaned = dict(itertools.islice(cleaned.items(), MAX_ATTRIBUTES))
        for stream in self._streams:
            slots.append(stream.slot(cleaned))  # noqa: PERF401 - the compiler knows the loop variable's type
        if type(attributes) is not dict or not _can_be_kept(attributes):
            return _Route(slots[0], tuple(slots[1:]), ())
        kinds = tuple([type(value) for value in attributes.values()])
        route = _Route(slots[0], tuple(slots[1:]), () if kinds == (str,) * len(kinds) else kinds)
        if len(self._routes) >= MAX_ROUTES:
            self._routes = {}
        self._routes[tuple(attributes.items())] = route
        return route


@cython.cfunc
def _can_be_kept(attributes: dict) -> cython.bint:
    """Whether the spelling may be a key: plain values that hold little memory."""
    size: cython.Py_ssize_t = 0
    for key, value in attributes.items():
        kind = type(value)
        if type(key) is not str:
            return False
        size += len(key)
        if kind is str:
            size += len(value)
        elif kind is not int and kind is not float and kind is not bool:
            return False
    return size <= _MAX_KEPT_TEXT


@cython.cclass
class Bound:
    """One series of an instrument, for loops that always measure under the same attributes."""

    _recorder: Recorder
    _attributes: object
    _route: _Route
    _epoch: cython.longlong

    def __init__(self, recorder: Recorder, attributes: object) -> None:
        self._recorder = recorder
        self._attributes = dict(attributes) if type(attributes) is dict else attributes
        self._find()

    @cython.cfunc
    def _find(self) -> cython.int:
        self._epoch = self._recorder._epoch
        self._route = self._recorder._route(self._attributes) if self._recorder._streams else None
        return 0

    @cython.cfunc
    @cython.inline
    def _measure(self, amount: object, context: object) -> cython.int:
        recorder: Recorder = self._recorder
        if recorder.is_enabled:
            if self._epoch != recorder._epoch:
                self._find()
            value = recorder._usable(amount)
            if value is not None and self._route is not None:
                self._route.put(value)
                if recorder.sample is not None:
                    recorder._sample(self._route, value, self._attributes, context)
        if recorder.also is not None:
            recorder.also(amount, self._attributes, context)
        return 0

    def add(self, amount: object, context: object = None) -> None:
        """As a counter's `add`."""
        self._measure(amount, context)

    def record(self, amount: object, context: object = None) -> None:
        """As a histogram's `record`."""
        self._measure(amount, context)

    def set(self, amount: object, context: object = None) -> None:
        """As a gauge's `set`."""
        self._measure(amount, context)
