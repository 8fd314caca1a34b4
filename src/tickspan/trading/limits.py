"""How much of a venue's request budget is spent, and the warning before the ban.

What is told of a budget comes from answers' headers (a profile names them), from a library's own count, or
from an estimate. One budget is `near` at 80 %, told once, and again only after it has been below 70 %.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.metrics import Meter

from tickspan.config import TradingSettings
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.semconv import trading as names
from tickspan.trading.attributes import Attributes
from tickspan.trading.events import ERROR, WARN, Events
from tickspan.trading.moments import Clock
from tickspan.trading.observing import Observed, Readings, Series, Together, observe
from tickspan.trading.venues import LimitField, VenueProfile, profile_of

NEAR: Final = 0.8
REARMED: Final = 0.7
MAX_BUDGETS: Final = 500
"""Budgets of one instrumentor that are told apart; further ones are not told."""
UNNAMED: Final = "requests"
"""The budget of a refusal that does not say which one is spent."""
BANNED: Final = 418
"""Binance's answer to those who went on after a 429; no other venue's meaning of it is known."""
_TOLD_AGAIN_NS: Final = 10_000_000_000
"""Between two events of one kind about one budget, while refusals go on."""
_MAX_SECONDS: Final = 10_000_000
_MAX_MILLISECONDS_FROM: Final = 100_000_000_000
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WINDOW: Final = re.compile(r"(\d{1,4})([smhd])")

_TABLE: Final = (
    Observed(
        names.METRIC_RATE_LIMIT_USED, "{unit}", "What is spent of a request budget", together=Together.MOST
    ),
    Observed(names.METRIC_RATE_LIMIT_LIMIT, "{unit}", "What a request budget allows", together=Together.LAST),
    Observed(
        names.METRIC_RATE_LIMIT_RESET_IN, "s", "Until a request budget is whole again", together=Together.MOST
    ),
)


@dataclass(frozen=True, slots=True)
class BudgetPlace:
    """Which budget of whom."""

    venue: str
    environment: str
    library: str
    name: str
    scope: str


@dataclass(slots=True)
class _Budget:
    """One budget as last told; moments are monotonic nanoseconds."""

    used: float = 0.0
    limit: float | None = None
    told_ns: int = 0
    reset_ns: int | None = None
    is_estimate: bool = False
    is_near: bool = False
    near_told_ns: int | None = None

    @property
    def ratio(self) -> float | None:
        """What part of it is spent; None where nobody knows how much there is."""
        return self.used / self.limit if self.limit else None


class RateLimits:
    """The budgets of one instrumentor. Thread-safe; what cannot be read is left alone."""

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
        self._hits = meter.create_counter(
            names.METRIC_RATE_LIMIT_HITS, "{refusal}", "Requests that were refused for being too many"
        )
        self._budgets: dict[BudgetPlace, _Budget] = {}
        self._refused_ns: dict[tuple[BudgetPlace, bool], int] = {}
        self._lock = threading.Lock()
        observe(meter, _TABLE, self)
        renew_after_fork(self)

    def __repr__(self) -> str:
        near = sum(budget.is_near for budget in tuple(self._budgets.values()))
        return f"<RateLimits {len(self._budgets)} budgets, {near} nearly spent>"

    def answered(
        self, venue: str, library: str, environment: str | None, status: int, headers: Mapping[str, str]
    ) -> None:
        """An HTTP answer has come: what its headers tell of budgets, and whether it is a refusal."""
        profile = profile_of(venue)
        told = read_headers(profile, headers, self.clock.wall_ns()) if profile.rate_headers else ()
        for item in told:
            self._used(self._place(venue, environment, library, item.name, item.scope), item, profile)
        if status in (HTTPStatus.TOO_MANY_REQUESTS, BANNED):
            spent = max(told, key=lambda item: self._part(venue, environment, library, item), default=None)
            self.refused(
                venue,
                spent.name if spent is not None else UNNAMED,
                scope=spent.scope if spent is not None else "",
                is_ban=status == BANNED,
                library=library,
                environment=environment,
                wait_s=_retry_after_s(headers),
            )

    def used(
        self,
        venue: str,
        name: str,
        scope: str,
        *,
        used: float | None,
        limit: float | None = None,
        reset_in_s: float | None = None,
        is_estimate: bool = False,
        library: str,
        environment: str | None = None,
    ) -> None:
        """So much of the budget `name` is spent (None: only its size is told); `limit` is remembered."""
        told = Told(name, scope, used, limit, None, reset_in_s, is_estimate)
        self._used(self._place(venue, environment, library, name, scope), told, profile_of(venue))

    def refused(
        self,
        venue: str,
        name: str,
        *,
        scope: str = "",
        is_ban: bool = False,
        library: str,
        environment: str | None = None,
        wait_s: float | None = None,
    ) -> None:
        """A request was refused because the budget is spent, or because the venue has banned us for it."""
        place = self._place(venue, environment, library, name, scope)
        self._hits.add(1, dict(_series(place)))
        if not self._may_tell(place, is_ban=is_ban):
            return
        known: Attributes = {names.RATE_LIMIT_WAIT: wait_s} if wait_s is not None else {}
        after = f", for {wait_s:g} s" if wait_s is not None else ""
        if is_ban:
            said = f"{venue}: banned for too many requests{after}"
            self._tell(names.EVENT_RATE_LIMIT_BANNED, ERROR, place, known, said)
        else:
            said = f"{venue}: {name} are spent{after}"
            self._tell(names.EVENT_RATE_LIMIT_EXHAUSTED, WARN, place, known, said)

    def readings(self, name: str) -> Readings:
        """What the metric `name` is now: of a window that is over nothing."""
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            budgets = list(self._budgets.items())
        if name == names.METRIC_RATE_LIMIT_LIMIT:
            return [(_series(place), budget.limit) for place, budget in budgets if budget.limit is not None]
        if name == names.METRIC_RATE_LIMIT_RESET_IN:
            return [
                (_series(place), (budget.reset_ns - now_ns) / 1e9)
                for place, budget in budgets
                if budget.reset_ns is not None and budget.reset_ns > now_ns
            ]
        return [(_series(place), _used_now(place, budget, now_ns)) for place, budget in budgets]

    def after_fork_in_child(self) -> None:
        """Forget a lock that the parent may have held."""
        self._lock = threading.Lock()

    def _used(self, place: BudgetPlace, told: Told, profile: VenueProfile) -> None:
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            budget = self._budgets.get(place)
            if budget is None:
                if len(self._budgets) >= MAX_BUDGETS:
                    return
                budget = self._budgets[place] = _Budget(limit=profile.limits.get((told.name, told.scope)))
            _apply(budget, told, now_ns)
            ratio = budget.ratio
            is_news = ratio is not None and _is_news(budget, ratio, now_ns)
            used, limit, is_estimate = budget.used, budget.limit, budget.is_estimate
        if is_news and limit is not None:
            known: Attributes = {names.RATE_LIMIT_SPENT: used, names.RATE_LIMIT_BUDGET: limit}
            if is_estimate:
                known[names.RATE_LIMIT_ESTIMATED] = True
            said = f"{place.venue}: {used:g} of {limit:g} {place.name} ({place.scope}) are spent"
            self._tell(names.EVENT_RATE_LIMIT_NEAR, WARN, place, known, said)

    def _part(self, venue: str, environment: str | None, library: str, told: Told) -> float:
        budget = self._budgets.get(self._place(venue, environment, library, told.name, told.scope))
        return (budget.ratio or 0.0) if budget is not None else 0.0

    def _may_tell(self, place: BudgetPlace, *, is_ban: bool) -> bool:
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            before_ns = self._refused_ns.get((place, is_ban))
            is_recent = before_ns is not None and now_ns - before_ns < _TOLD_AGAIN_NS
            if is_recent or (before_ns is None and len(self._refused_ns) >= MAX_BUDGETS):
                return False
            self._refused_ns[place, is_ban] = now_ns
            return True

    def _place(self, venue: str, environment: str | None, library: str, name: str, scope: str) -> BudgetPlace:
        return BudgetPlace(venue, environment or self.settings.environment, library, name, scope)

    def _tell(
        self, name: str, severity: SeverityNumber, place: BudgetPlace, known: Attributes, said: str
    ) -> None:
        self._events.emit(name, severity, {**dict(_series(place)), **known}, body=said)


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of one budget."""

    name: str
    scope: str
    used: float | None = None
    limit: float | None = None
    remaining: float | None = None
    reset_in_s: float | None = None
    is_estimate: bool = False


def read_headers(
    profile: VenueProfile, headers: Mapping[str, str], wall_ns: int | None = None
) -> tuple[Told, ...]:
    """What an answer's headers tell of budgets. `wall_ns` is the time of day, for resets; None is now."""
    found: dict[tuple[str, str], dict[LimitField, float]] = {}
    for given, text in headers.items():
        for row in profile.rate_headers:
            match = row.matcher.fullmatch(given)
            value = _number(text) if match is not None else None
            if match is not None and value is not None:
                # HTTP/2 and some clients write names in lower case: one budget is one series in either.
                found.setdefault((row.name, match.expand(row.scope).lower()), {})[row.field] = value
    now_ns = wall_ns if wall_ns is not None else time.time_ns()
    return tuple(_told(name, scope, fields, now_ns) for (name, scope), fields in found.items())


def _told(name: str, scope: str, fields: Mapping[LimitField, float], wall_ns: int) -> Told:
    reset = fields.get(LimitField.RESET)
    return Told(
        name,
        scope,
        fields.get(LimitField.USED),
        fields.get(LimitField.LIMIT),
        fields.get(LimitField.REMAINING),
        _seconds_until(reset, wall_ns) if reset is not None else None,
    )


def _seconds_until(reset: float, wall_ns: int) -> float:
    """A moment in seconds or milliseconds since 1970, or seconds from now: their sizes tell them apart."""
    if reset < _MAX_SECONDS:
        return max(0.0, reset)
    moment_s = reset / 1e3 if reset >= _MAX_MILLISECONDS_FROM else reset
    return max(0.0, moment_s - wall_ns / 1e9)


def _apply(budget: _Budget, told: Told, now_ns: int) -> None:
    budget.told_ns = now_ns
    budget.is_estimate = told.is_estimate
    if told.limit is not None:
        budget.limit = told.limit
    if told.used is not None:
        budget.used = told.used
    elif told.remaining is not None and budget.limit is not None:
        budget.used = max(0.0, budget.limit - told.remaining)
    if told.reset_in_s is not None:
        budget.reset_ns = now_ns + int(told.reset_in_s * 1e9)


def _is_news(budget: _Budget, ratio: float, now_ns: int) -> bool:
    """Whether the budget has come near its end; a budget of a second says so at most every ten."""
    was_near, budget.is_near = budget.is_near, ratio >= NEAR or (budget.is_near and ratio >= REARMED)
    told_ns = budget.near_told_ns
    if was_near or not budget.is_near or (told_ns is not None and now_ns - told_ns < _TOLD_AGAIN_NS):
        return False
    budget.near_told_ns = now_ns
    return True


def _used_now(place: BudgetPlace, budget: _Budget, now_ns: int) -> float:
    return 0.0 if _is_over(place, budget, now_ns) else budget.used


def _is_over(place: BudgetPlace, budget: _Budget, now_ns: int) -> bool:
    if budget.reset_ns is not None and budget.reset_ns > budget.told_ns:
        return now_ns > budget.reset_ns
    window = _WINDOW.fullmatch(place.scope)
    return window is not None and now_ns - budget.told_ns > int(window[1]) * _UNITS_S[window[2]] * 10**9


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    texts: Iterable[str] = (text for name, text in headers.items() if name.lower() == "retry-after")
    return next((seconds for text in texts if (seconds := _number(text)) is not None), None)


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _series(place: BudgetPlace) -> Series:
    return (
        (names.VENUE_NAME, place.venue),
        (names.VENUE_ENVIRONMENT, place.environment),
        (names.CLIENT_LIBRARY, place.library),
        (names.RATE_LIMIT_NAME, place.name),
        (names.RATE_LIMIT_SCOPE, place.scope),
    )
