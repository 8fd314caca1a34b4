"""The channel: the thread that brings what waits in the queue to one notifier, at its pace."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.alertmanager import LASTS_S
from tickspan.alerts.notifiers.making import Made
from tickspan.alerts.notifiers.notifier import Fate, Verdict
from tickspan.alerts.notifiers.queue import MOST_WAITING, Queue, Waiting
from tickspan.recording import diagnostics

__all__ = ["REPEAT_S", "Backoff", "Channel", "ChannelStatistics", "Pace"]

REPEAT_S: Final = 15.0
"""Between two posts of an alert that fires to a notifier that would forget it."""
_LOOK_S: Final = 5.0
_LONGEST_BACKOFF_S: Final = 900.0
_FIRST_BACKOFF_S: Final = 1.0
_MINUTE_S: Final = 60.0
_MOST_AT_ONCE: Final = 200
"""Alerts in one post; all that waits is looked at, or what is silenced would stand before the rest."""


class Pace:
    """So many messages a minute. For one thread."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._sent: deque[float] = deque()

    def allows(self, now_s: float, waiting: int) -> int:
        """How many waiting notices the next message may hold: one, all by the last message, or none."""
        while self._sent and now_s - self._sent[0] >= _MINUTE_S:
            self._sent.popleft()
        left = self._per_minute - len(self._sent)
        if left <= 0:
            return 0
        return waiting if left == 1 else 1

    def wait_s(self, now_s: float) -> float:
        """Until the next message may go."""
        return max(0.0, self._sent[0] + _MINUTE_S - now_s) if self._sent else 0.0

    def sent(self, now_s: float) -> None:
        """A message went."""
        self._sent.append(now_s)


class Backoff:
    """Doubles from a second to a bound, each wait between a half and the whole of it. For one thread."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    def after_failure(self, asked_s: float, longest_s: float) -> float:
        """Seconds to wait; what the receiver asks for, where that is more."""
        bound_s = min(longest_s, _FIRST_BACKOFF_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return max(self._random.uniform(bound_s / 2, bound_s), min(asked_s, _LONGEST_BACKOFF_S))

    def after_success(self) -> None:
        """The next failure is the first again."""
        self._failures = 0


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """What one channel did.

    Attributes:
        name: of the channel.
        sent: notices that were taken.
        dropped: notices that were refused for good.
        trouble: why the last attempt failed; "" when it did not.
    """

    name: str
    sent: int = 0
    dropped: int = 0
    trouble: str = ""


class Channel:
    """One notifier with its thread. `wake` and `statistics` may come from any thread."""

    def __init__(
        self,
        made: Made,
        queue: Queue,
        is_silenced: Callable[[Notice], bool],
        firing: Callable[[], Iterable[Notice]],
        clock: Callable[[], float],
        wall: Callable[[], float],
        random: Random | None = None,
    ) -> None:
        self.made: Final = made
        self._queue = queue
        self._is_silenced = is_silenced
        self._firing = firing
        self._clock = clock
        self._wall = wall
        self._pace = Pace(made.notifier.per_minute)
        self._backoff = Backoff(random or Random())  # noqa: S311 - to spread attempts
        self._not_before_s = -math.inf
        self._repeat_at_s = -math.inf
        self._repeated_s = -math.inf
        self._statistics = ChannelStatistics(made.channel)
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name=f"tickspan-alerts-{made.name}", daemon=True)

    def __repr__(self) -> str:
        return f"<Channel {self._statistics}>"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something waits."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the thread to end; a message under way is finished."""
        self._is_stopping = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False when it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def statistics(self) -> ChannelStatistics:
        """Counters at this moment."""
        return self._statistics

    def step(self) -> float:
        """Send what is due; seconds until there may be more to do."""
        now_s = self._clock()
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        return self._step_folding(now_s) if self.made.is_folding else self._step(now_s)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                wait_s = self.step()
            except Exception:  # noqa: BLE001 - a thread's top
                diagnostics.exception("alerts: notifier '%s' failed", self.made.name)
                wait_s = _LOOK_S
            if wait_s > 0:
                self._wake.wait(wait_s)
            self._wake.clear()

    def _step(self, now_s: float) -> float:
        due = self._due()
        if not due:
            return _LOOK_S
        count = self._pace.allows(now_s, len(due))
        if not count:
            return self._pace.wait_s(now_s)
        batch = due[:count]
        verdict = self._send([one.notice for one in batch])
        if verdict.fate is Fate.LATER:
            return self._later(verdict, now_s, _LONGEST_BACKOFF_S)
        self._pace.sent(now_s)
        self._settle(batch, verdict)
        return 0.0

    def _step_folding(self, now_s: float) -> float:
        due = self._due()
        is_repeat = now_s >= self._repeat_at_s
        if not due and not is_repeat:
            return min(_LOOK_S, self._repeat_at_s - now_s)
        latest: dict[str, Notice] = {}
        if is_repeat:
            latest = {one.fingerprint: one for one in self._firing() if not self._is_silenced(one)}
            latest = self._without_ended(latest, now_s)
        latest.update((one.notice.fingerprint, one.notice) for one in due)
        notices = list(latest.values())[:_MOST_AT_ONCE]
        if notices:
            verdict = self._send(notices)
            if verdict.fate is Fate.LATER:
                return self._later(verdict, now_s, REPEAT_S if self._firing() else _LONGEST_BACKOFF_S)
            told = {notice.fingerprint for notice in notices}
            self._settle([one for one in due if one.notice.fingerprint in told], verdict)
        if is_repeat:
            self._repeated_s = now_s
            self._repeat_at_s = now_s + REPEAT_S
        return 0.0 if len(latest) > len(notices) else min(_LOOK_S, self._repeat_at_s - now_s)

    def _without_ended(self, repeats: dict[str, Notice], now_s: float) -> dict[str, Notice]:
        """Without those that their owner has ended there: a repeat would begin them anew.

        What was repeated less than a minute ago still stands there, unless somebody ended it.
        """
        foreign = {key for key, notice in repeats.items() if notice.owner is not notice.evaluator}
        if not foreign or now_s - self._repeated_s >= LASTS_S:
            return repeats
        standing = self.made.standing()
        if standing is None:
            return repeats
        return {key: notice for key, notice in repeats.items() if key not in foreign or key in standing}

    def _due(self) -> list[Waiting]:
        """What waits and is not silenced. What began and ended in silence is forgotten."""
        due: list[Waiting] = []
        held: dict[tuple[str, float], Waiting] = {}
        quiet: list[Waiting] = []
        for one in self._queue.waiting(self.made.channel, MOST_WAITING):
            notice = one.notice
            began = held.pop((notice.fingerprint, notice.starts_at_s), None)
            if began is not None and notice.is_resolved:
                quiet += (began, one)
            elif not self._is_silenced(notice) or (self.made.is_folding and notice.is_resolved):
                due.append(one)
            else:
                held[notice.fingerprint, notice.starts_at_s] = one
        if quiet:
            self._queue.settle(self.made.channel, quiet, self._wall(), is_told=False)
        return due

    def _send(self, notices: Sequence[Notice]) -> Verdict:
        return self.made.notifier.send(notices, self._wall())

    def _later(self, verdict: Verdict, now_s: float, longest_s: float) -> float:
        wait_s = self._backoff.after_failure(verdict.wait_s, longest_s)
        self._not_before_s = now_s + wait_s
        self._note(verdict.trouble)
        return wait_s

    def _settle(self, settled: Sequence[Waiting], verdict: Verdict) -> None:
        self._backoff.after_success()
        self._queue.settle(self.made.channel, settled, self._wall())
        lost = len(settled) if verdict.fate is Fate.REFUSED else min(len(verdict.refused), len(settled))
        self._note(verdict.trouble, sent=len(settled) - lost, dropped=lost)

    def _note(self, trouble: str, sent: int = 0, dropped: int = 0) -> None:
        was = self._statistics
        if trouble and trouble != was.trouble:
            diagnostics.log(
                logging.ERROR if dropped else logging.WARNING,
                "alerts: notifier '%s': %s%s",
                self.made.name,
                trouble,
                f"; {dropped} notices are lost" if dropped else "; it is tried again",
            )
        self._statistics = ChannelStatistics(was.name, was.sent + sent, was.dropped + dropped, trouble)
