"""Tail-triggered capture: the samples of a trace are kept when it was slow or ended in an error.

The local root span decides. Samples wait in a ring, the last half minute and 2 MiB at most. Whether a root
was slow is judged by the times of earlier roots of its name. A span that is shorter than two periods of the
sampler has too few samples to be kept.
"""

from __future__ import annotations

import math
import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tickspan.analysis.profiles import Link

if TYPE_CHECKING:
    from tickspan.profiler.sampler import Seen

__all__ = ["REFUSALS", "Capture", "Kept", "Reason", "Roots", "SampleRing"]

_NS_PER_S: Final = 1_000_000_000
RING_S: Final = 30.0
MOST_SAMPLES: Final = 7_000
"""2 MiB."""
MOST_KEPT: Final = 1_000
"""Samples of one trace: the thread that ends its span writes them down."""
MOST_A_MINUTE: Final = 6
_PERIODS: Final = 2
_MOST_NAMES: Final = 500
_TIMES_KEPT: Final = 200
_TIMES_NEEDED: Final = 50
_SLOW_QUANTILE: Final = 0.99

Reason = str
"""`slow` or `error`."""
REFUSALS: Final = ("short", "unseen", "often")
"""Why a trace was not kept."""


class SampleRing:
    """The last samples whose span is known. One thread adds, others look."""

    def __init__(self, most: int = MOST_SAMPLES, age_s: float = RING_S) -> None:
        self._most = most
        self._samples: deque[Seen] = deque()
        self._of_traces: dict[int, deque[Seen]] = {}
        self._age_ns = int(age_s * _NS_PER_S)

    def __repr__(self) -> str:
        return f"<SampleRing {len(self._samples)} samples>"

    def add(self, seen: Seen) -> None:
        """One more; those that are too old or too many go."""
        if seen.link is None:
            return
        samples = self._samples
        samples.append(seen)
        trace_id = seen.link.trace_id
        of_trace = self._of_traces.get(trace_id)
        if of_trace is None:
            of_trace = self._of_traces[trace_id] = deque()
        of_trace.append(seen)
        oldest_ns = seen.at_unix_ns - self._age_ns
        while len(samples) > self._most or samples[0].at_unix_ns < oldest_ns:
            self._let_go(samples.popleft())

    def _let_go(self, seen: Seen) -> None:
        """The oldest of all, so also of its trace."""
        assert seen.link is not None
        of_trace = self._of_traces[seen.link.trace_id]
        of_trace.popleft()
        if not of_trace:
            del self._of_traces[seen.link.trace_id]

    def of_trace(self, trace_id: int, since_ns: int) -> list[Seen]:
        """Samples of a trace, of all its spans and threads, since an instant of time, oldest first."""
        of_trace = self._of_traces.get(trace_id)
        return [] if of_trace is None else [one for one in of_trace.copy() if one.at_unix_ns >= since_ns]

    def stacks(self) -> set[int]:
        """Numbers of the stacks that are in it. For the thread that adds."""
        return {seen.stack for seen in self._samples}


class Roots:
    """Times of local root spans by name: what is slow for one of them."""

    def __init__(self, slow_s: float | None = None) -> None:
        """Roots that take `slow_s` or longer are slow; without it those above the 99th percentile."""
        self._slow_ns = None if slow_s is None else int(slow_s * _NS_PER_S)
        self._times: dict[str, tuple[deque[int], list[int]]] = {}

    def __repr__(self) -> str:
        return f"<Roots of {len(self._times)} names>"

    def is_slow(self, name: str, duration_ns: int) -> bool:
        """Whether this one is, compared with those before it; it counts from now on."""
        if self._slow_ns is not None:
            return duration_ns >= self._slow_ns
        times = self._times.get(name)
        if times is None:
            if len(self._times) >= _MOST_NAMES:
                del self._times[next(iter(self._times))]
            times = self._times[name] = (deque(), [])
        ordered = times[1]
        is_known = len(ordered) >= _TIMES_NEEDED
        limit_ns = ordered[math.ceil(len(ordered) * _SLOW_QUANTILE) - 1] if is_known else 0
        self._note(*times, duration_ns)
        return is_known and duration_ns > limit_ns

    @staticmethod
    def _note(recent: deque[int], ordered: list[int], duration_ns: int) -> None:
        recent.append(duration_ns)
        insort(ordered, duration_ns)
        if len(recent) > _TIMES_KEPT:
            ordered.remove(recent.popleft())


@dataclass(frozen=True, slots=True)
class Kept:
    """The samples of one trace.

    Attributes:
        reason: why they are kept.
        link: the local root span.
        span_name: of it.
        started_unix_ns: of it.
        duration_ns: of it.
        samples: oldest first.
        omitted: older ones, beyond the bound.
    """

    reason: Reason
    link: Link
    span_name: str
    started_unix_ns: int
    duration_ns: int
    samples: Sequence[Seen]
    omitted: int = 0

    def stacks(self) -> Counter[int]:
        """Samples by stack."""
        return Counter(seen.stack for seen in self.samples)


class Capture:
    """Decides which traces are kept, at most six a minute. Safe from any thread."""

    def __init__(
        self,
        period_s: Callable[[], float],
        slow_s: float | None = None,
        most_a_minute: int = MOST_A_MINUTE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ring: Final = SampleRing()
        self._roots = Roots(slow_s)
        self._period_s = period_s
        self._most = most_a_minute
        self._monotonic = monotonic
        self._kept_s: deque[float] = deque()
        self.refused: Counter[str] = Counter()
        """Traces that were not kept, by reason, see `REFUSALS`."""

    def __repr__(self) -> str:
        return f"<Capture {self.ring!r}, {self.refused.total()} refused>"

    def ended(
        self, link: Link, name: str, started_unix_ns: int, duration_ns: int, *, is_error: bool
    ) -> Kept | None:
        """A local root span has ended; its samples, if they are worth keeping."""
        is_slow = self._roots.is_slow(name, duration_ns)
        if not is_slow and not is_error:
            return None
        if duration_ns < _PERIODS * self._period_s() * _NS_PER_S:
            self.refused["short"] += 1
            return None
        samples = self.ring.of_trace(link.trace_id, started_unix_ns)
        if not samples:
            self.refused["unseen"] += 1
            return None
        if not self._may_keep():
            self.refused["often"] += 1
            return None
        reason = "error" if is_error else "slow"
        omitted = max(0, len(samples) - MOST_KEPT)
        return Kept(reason, link, name, started_unix_ns, duration_ns, samples[omitted:], omitted)

    def _may_keep(self) -> bool:
        now_s = self._monotonic()
        kept_s = self._kept_s
        while kept_s and now_s - kept_s[0] >= 60.0:  # noqa: PLR2004 - a minute
            kept_s.popleft()
        if len(kept_s) >= self._most:
            return False
        kept_s.append(now_s)
        return True


def folded_stacks(kept: Kept, names: Callable[[int], Iterable[str]], most_bytes: int) -> str:
    """The stacks of kept samples as text, the most frequent first, as many as fit."""
    lines: list[str] = []
    size = 0
    for stack, count in kept.stacks().most_common():
        line = ";".join(reversed(list(names(stack)))) + f" {count}"
        size += len(line.encode(errors="replace")) + 1
        if size > most_bytes:
            break
        lines.append(line)
    return "\n".join(lines)


def is_local_root(span: Any) -> bool:
    """Whether a span of our providers has no parent in this process."""
    return span.parent_id is None or bool(span.parent_is_remote)
