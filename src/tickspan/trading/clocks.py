"""How far a venue's clock is from ours, narrowed down from whatever tells of it.

A sample says that the venue's time was between two values at a moment between two of ours; that leaves an
interval for the difference. Samples of one source narrow it: `Date` has seconds only, yet two answers on
either side of a second's end tell it to within their round trips. The difference is kept against our
monotonic clock, so that a step of our wall clock neither spoils it nor needs to be noticed.
After https://www.rfc-editor.org/rfc/rfc5905 (NTP): correctness intervals, clock drift of 100 ppm or less.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from opentelemetry._logs import Logger
from opentelemetry.metrics import Meter

from tickspan.config import TradingSettings
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.semconv import trading as names
from tickspan.trading.attributes import Attributes
from tickspan.trading.events import WARN, Events
from tickspan.trading.moments import Clock
from tickspan.trading.observing import Observed, Readings, Series, Together, observe

DATE: Final = "date"
"""The `Date` header of HTTP answers."""
MESSAGES: Final = "messages"
"""Messages that come before their time."""
REJECT: Final = "reject"
"""The venue refused a request because of its time."""
MAX_SOURCES: Final = 200
"""Venues times sources of one instrumentor."""
_SECOND_NS: Final = 1_000_000_000
_MILLISECOND_NS: Final = 1_000_000
_DRIFT: Final = 1e-4
_TELLING_NS: Final = 50 * _MILLISECOND_NS
"""An interval that is narrower tells the difference by its middle, a wider one what it rules out."""
_OWN_ERROR_NS: Final = _TELLING_NS // 2
"""Libraries do not take the way of the answer into account."""
_CONTRADICTIONS: Final = 3
"""Samples in a row that rule the interval out: the venue's clock was set, or an early sample was wrong."""
_SUSPECTED_AGAIN_NS: Final = 60 * _SECOND_NS
_ANY_NS: Final = 86_400 * _SECOND_NS
_FORGOTTEN_NS: Final = 60 * _SECOND_NS
"""After that, messages that were ahead of our clock say nothing of it any more."""

_TABLE: Final = (
    Observed(
        names.METRIC_CLOCK_OFFSET,
        "s",
        "The venue's clock minus ours, as far as known",
        together=Together.LAST,
    ),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """The venue's clock minus ours is between `low_ns` and `high_ns`, as known at the moment `at_ns`."""

    low_ns: int
    high_ns: int
    at_ns: int

    def aged(self, now_ns: int) -> Interval:
        """The same, later: clocks drift."""
        drift_ns = int((now_ns - self.at_ns) * _DRIFT)
        return Interval(self.low_ns - drift_ns, self.high_ns + drift_ns, now_ns)

    def narrowed(self, other: Interval) -> Interval | None:
        """What both allow; None if they contradict each other."""
        low_ns, high_ns = max(self.low_ns, other.low_ns), min(self.high_ns, other.high_ns)
        return Interval(low_ns, high_ns, other.at_ns) if low_ns <= high_ns else None

    def difference_ns(self, shift_ns: int) -> int:
        """What is left without `shift_ns`: the middle, or of a wide interval its end next to 0."""
        low_ns, high_ns = self.low_ns - shift_ns, self.high_ns - shift_ns
        if high_ns - low_ns <= _TELLING_NS:
            return (low_ns + high_ns) // 2
        return max(low_ns, 0) or min(high_ns, 0)


@dataclass(frozen=True, slots=True)
class ClockPlace:
    """Whose clock, by what."""

    venue: str
    environment: str
    library: str
    source: str


class _Difference:
    """One source's interval against our monotonic clock."""

    __slots__ = ("contradictions", "interval", "is_told")

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self.contradictions = 0
        self.is_told = False

    def take(self, sample: Interval, *, is_final: bool) -> None:
        narrowed = sample if is_final else self.interval.aged(sample.at_ns).narrowed(sample)
        if narrowed is not None:
            self.interval, self.contradictions = narrowed, 0
            return
        self.contradictions += 1
        if self.contradictions >= _CONTRADICTIONS:
            self.interval, self.contradictions = sample, 0


class VenueClocks:
    """The clocks of one instrumentor's venues. Thread-safe; what cannot be read is left alone.

    `sent_ns` and `received_ns` are monotonic.
    """

    def __init__(
        self,
        meter: Meter,
        logger: Logger,
        settings: TradingSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings or TradingSettings()
        self.clock = clock or Clock()
        self._events = Events(logger, self.clock)
        self._known: dict[ClockPlace, _Difference] = {}
        self._suspected_ns: dict[ClockPlace, int] = {}
        self._read: tuple[str, int | None] = ("", None)
        self._lock = threading.Lock()
        observe(meter, _TABLE, self)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<VenueClocks {len(self._known)} sources>"

    def date(
        self,
        venue: str,
        header_value: str,
        sent_ns: int,
        received_ns: int,
        *,
        library: str,
        environment: str | None = None,
    ) -> None:
        """The `Date` of an answer: whole seconds."""
        told_ns = self._date_ns(header_value)
        if told_ns is not None:
            place = self._place(venue, environment, library, DATE)
            self._take(place, told_ns - received_ns, told_ns + _SECOND_NS - sent_ns)

    def told(
        self,
        venue: str,
        source: str,
        venue_unix_ns: int,
        sent_ns: int,
        received_ns: int,
        *,
        library: str,
        environment: str | None = None,
        resolution_ns: int = _MILLISECOND_NS,
    ) -> None:
        """The venue's time in an answer, cut to `resolution_ns`; `source` says in which, as `server_time`."""
        place = self._place(venue, environment, library, source)
        self._take(place, venue_unix_ns - received_ns, venue_unix_ns + resolution_ns - sent_ns)

    def offset(
        self, venue: str, source: str, offset_s: float, *, library: str, environment: str | None = None
    ) -> None:
        """What a library has found out itself, such as `timestamp_offset`: the venue's clock minus ours."""
        place = self._place(venue, environment, library, source)
        offset_ns = int(offset_s * 1e9) + self._shift_ns()
        self._take(place, offset_ns - _OWN_ERROR_NS, offset_ns + _OWN_ERROR_NS, is_final=True)

    def led(self, venue: str, lead_ns: int, *, library: str, environment: str | None = None) -> None:
        """A message was ahead of our clock by `lead_ns`: so is the venue's clock, or by more."""
        place = self._place(venue, environment, library, MESSAGES)
        low_ns = lead_ns + self._shift_ns()
        self._take(place, low_ns, low_ns + _ANY_NS, is_final=True)

    def suspected(self, venue: str, *, library: str, environment: str | None = None) -> None:
        """The venue has refused a request because of its time: told at most once a minute."""
        place = self._place(venue, environment, library, REJECT)
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            before_ns = self._suspected_ns.get(place)
            is_recent = before_ns is not None and now_ns - before_ns < _SUSPECTED_AGAIN_NS
            if is_recent or (before_ns is None and len(self._suspected_ns) >= MAX_SOURCES):
                return
            self._suspected_ns[place] = now_ns
        self._tell(place, None)

    def difference_s(self, venue: str, environment: str | None = None) -> float | None:
        """The venue's clock minus ours by the source that knows best; None if nothing is known."""
        best = self._best(venue, environment or self.settings.environment)
        return best.difference_ns(self._shift_ns()) / 1e9 if best is not None else None

    def ahead_ns(self, venue: str, environment: str) -> int:
        """The same in nanoseconds; 0 if nothing is known."""
        best = self._best(venue, environment)
        return best.difference_ns(self._shift_ns()) if best is not None else 0

    def readings(self, name: str) -> Readings:
        """What the metric `name` is now."""
        del name
        shift_ns, now_ns = self._shift_ns(), self.clock.monotonic_ns()
        with self._lock:
            self._forget(now_ns)
            known = [(place, difference.interval) for place, difference in self._known.items()]
        return [
            (_series(place), interval.aged(now_ns).difference_ns(shift_ns) / 1e9) for place, interval in known
        ]

    def after_fork_in_child(self) -> None:
        """Forget a lock that the parent may have held."""
        self._lock = threading.Lock()

    def _take(self, place: ClockPlace, low_ns: int, high_ns: int, *, is_final: bool = False) -> None:
        """A sample narrows what is known; one that `is_final` takes its place."""
        sample = Interval(low_ns, high_ns, self.clock.monotonic_ns())
        if high_ns < low_ns:
            return  # received before it was sent: not a sample
        with self._lock:
            known = self._known.get(place)
            if known is not None:
                known.take(sample, is_final=is_final)
            elif len(self._known) < MAX_SOURCES:
                known = self._known[place] = _Difference(sample)
            else:
                return
            difference_ns = known.interval.difference_ns(self._shift_ns())
            is_news = self._judged(known, abs(difference_ns) / 1e9)
        if is_news:
            self._tell(place, difference_ns)

    def _judged(self, known: _Difference, apart_s: float) -> bool:
        """Whether the difference is to be told: once, until it was half of what is tolerated."""
        tolerance_s = self.settings.clock_skew_s
        if known.is_told:
            known.is_told = apart_s > tolerance_s / 2
            return False
        known.is_told = apart_s >= tolerance_s
        return known.is_told

    def _best(self, venue: str, environment: str) -> Interval | None:
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            self._forget(now_ns)
            known = [
                difference.interval.aged(now_ns)
                for place, difference in self._known.items()
                if place.venue == venue and place.environment == environment
            ]
        return min(known, key=lambda interval: interval.high_ns - interval.low_ns, default=None)

    def _forget(self, now_ns: int) -> None:
        """Clocks are set right, and then no message is ahead of ours: nothing would ever say so."""
        gone = [
            place
            for place, difference in self._known.items()
            if place.source == MESSAGES and now_ns - difference.interval.at_ns > _FORGOTTEN_NS
        ]
        for place in gone:
            del self._known[place]

    def _shift_ns(self) -> int:
        return self.clock.wall_ns() - self.clock.monotonic_ns()

    def _date_ns(self, text: str) -> int | None:
        """Nanoseconds since 1970; the answers of one second say the same."""
        known, told_ns = self._read
        if text != known:
            told_ns = _unix_ns(text)
            self._read = (text, told_ns)
        return told_ns

    def _place(self, venue: str, environment: str | None, library: str, source: str) -> ClockPlace:
        return ClockPlace(venue, environment or self.settings.environment, library, source)

    def _tell(self, place: ClockPlace, difference_ns: int | None) -> None:
        known: Attributes = {**dict(_series(place)), names.CLOCK_TOLERANCE: self.settings.clock_skew_s}
        said = f"{place.venue}: a request was refused because of its time"
        if difference_ns is not None:
            known[names.CLOCK_DIFFERENCE] = difference_ns / 1e9
            said = f"{place.venue}: its clock is {difference_ns / 1e9:+.3f} s from ours, by {place.source}"
        self._events.emit(names.EVENT_CLOCK_SKEW, WARN, known, body=said)


def _unix_ns(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * _SECOND_NS
    except (TypeError, ValueError, OverflowError):
        return None


def _series(place: ClockPlace) -> Series:
    return (
        (names.VENUE_NAME, place.venue),
        (names.VENUE_ENVIRONMENT, place.environment),
        (names.CLIENT_LIBRARY, place.library),
        (names.CLOCK_SOURCE, place.source),
    )
