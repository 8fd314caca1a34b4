"""Delivery: from what evaluators say to what notifiers are told, at least once, in threads of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tickspan.alerts.checkpoint import GRACE_S
from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.channel import Channel, ChannelStatistics
from tickspan.alerts.notifiers.making import Made, make
from tickspan.alerts.notifiers.queue import FILE, Queue
from tickspan.alerts.notifiers.secrets import OptionError
from tickspan.alerts.roster import Claim, Roster, Word
from tickspan.alerts.silences import FILE as SILENCES
from tickspan.alerts.silences import Silences
from tickspan.analysis.rules.ruleset import NotifierSettings
from tickspan.recording import diagnostics

__all__ = ["Delivery", "DeliveryStatistics"]

_CLOSING_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class DeliveryStatistics:
    """What was delivered.

    Attributes:
        channels: of each notifier and URL.
        waiting: notices in the queue.
        dropped: notices that were given up: too many waited, or they were refused for good.
        dropped_waiting: of them, those that waited.
        firing: alerts that fire.
    """

    channels: tuple[ChannelStatistics, ...]
    waiting: int
    dropped: int
    dropped_waiting: int
    firing: int


class Delivery:
    """Safe for any thread. `tell` writes to a local file and never waits for a network."""

    def __init__(
        self,
        settings: Mapping[str, NotifierSettings],
        folder: Path | None,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        on_word: Callable[[Notice], None] | None = None,
    ) -> None:
        """Take up what an earlier process left in the folder.

        Args:
            settings: the notifiers of the rule file.
            folder: of the queue and the silences; None keeps them in memory.
            environ: for secrets and proxies.
            wall: seconds since 1970.
            clock: monotonic seconds.
            on_word: called with each notice that is told, silenced or not, such as for a log line.
        """
        self._environ = environ
        self._wall = wall
        self._clock = clock
        self._on_word = on_word
        self._lock = threading.Lock()
        self._queue = Queue(folder / FILE if folder is not None else None)
        self._silences = Silences(folder / SILENCES if folder is not None else None, wall)
        self._silences_lock = threading.Lock()
        self._roster = Roster()
        self._roster.restore(self._queue.standing(), wall(), GRACE_S)
        self._channels: dict[str, Channel] = {}
        self._settings: dict[str, NotifierSettings] = {}
        self._last: DeliveryStatistics | None = None
        self.use(settings)

    def __repr__(self) -> str:
        return f"<Delivery {len(self._channels)} channels, {self._roster!r}, {self._queue!r}>"

    def use(self, settings: Mapping[str, NotifierSettings]) -> None:
        """The notifiers from now on. Those that are as before go on; one that cannot be used is left out."""
        kept = {name: one for name, one in settings.items() if self._settings.get(name) == one}
        made = [
            one
            for name, setting in settings.items()
            if name not in kept
            for one in _made(setting, self._environ)
        ]
        with self._lock:
            leaving = [channel for channel in self._channels.values() if channel.made.name not in kept]
            for channel in leaving:
                del self._channels[channel.made.channel]
                channel.stop()
        for channel in leaving:
            channel.join(_CLOSING_S)
        with self._lock:
            self._settings = dict(settings)
            for one in made:
                channel = Channel(
                    one, self._queue, self._is_silenced, self._firing_for(one.name), self._clock, self._wall
                )
                self._channels[one.channel] = channel
                channel.start()
            self._queue.forget_channels(self._channels)

    def tell(self, notices: Iterable[Notice]) -> None:
        """Changes that evaluators saw, and alerts of which they say again that they fire."""
        with self._lock:
            now_s = self._wall()
            for notice in notices:
                word = self._roster.take(notice, now_s)
                if word is not None:
                    self._put(word)
                self._keep(notice.fingerprint)  # after it: what is kept as told must wait in the queue

    def gone(self, claim: Claim) -> None:
        """This evaluator is no more: what it alone said to fire has ended, if its word counts."""
        with self._lock:
            notices = self._roster.claimed_by(claim)
        now_s = self._wall()
        self.tell(notice.resolved(now_s, "gone") for notice in notices)

    def tick(self) -> None:
        """Look for alerts that lapsed; about once a second."""
        with self._lock:
            for word in self._roster.lapse(self._wall()):
                self._put(word)
                self._keep(word.notice.fingerprint)

    def firing(self) -> list[Notice]:
        """Alerts of which somebody says that they fire."""
        with self._lock:
            return self._roster.firing()

    def statistics(self) -> DeliveryStatistics:
        """Counters at this moment, or at the end."""
        if self._last is not None:
            return self._last
        with self._lock:
            channels = tuple(channel.statistics() for channel in self._channels.values())
            refused = sum(channel.dropped for channel in channels)
            return DeliveryStatistics(
                channels,
                self._queue.size(),
                self._queue.dropped + refused,
                self._queue.dropped,
                len(self._roster.standing),
            )

    def close(self, timeout_s: float = _CLOSING_S) -> bool:
        """End the threads; what waits stays in the file. False when a message was still under way."""
        with self._lock:
            channels = list(self._channels.values())
        deadline_s = time.monotonic() + timeout_s
        for channel in channels:
            channel.stop()
        ended = [channel.join(max(0.0, deadline_s - time.monotonic())) for channel in channels]
        self._last = self.statistics()
        if all(ended):
            self._queue.close()
        return all(ended)

    def _put(self, word: Word) -> None:
        """Queue a word for everyone whom it concerns."""
        if self._on_word is not None:
            self._on_word(word.notice)
        for channel in self._channels.values():
            made = channel.made
            is_meant = word.is_for_folding if made.is_folding else word.is_for_others
            if is_meant and (not word.notice.notify or made.name in word.notice.notify):
                self._queue.put(made.channel, word.notice)
                channel.wake()

    def _keep(self, fingerprint: str) -> None:
        standing = self._roster.standing.get(fingerprint)
        self._queue.keep_standing(fingerprint, standing.to_json() if standing is not None else None)

    def _is_silenced(self, notice: Notice) -> bool:
        with self._silences_lock:
            return self._silences.cover(notice.labels)

    def _firing_for(self, name: str) -> Callable[[], list[Notice]]:
        def firing() -> list[Notice]:
            return [notice for notice in self.firing() if not notice.notify or name in notice.notify]

        return firing


def _made(settings: NotifierSettings, environ: Mapping[str, str]) -> list[Made]:
    try:
        return list(make(settings, environ))
    except OptionError as error:
        diagnostics.error("alerts: notifier '%s' is left out: %s", settings.name, error)
        return []
