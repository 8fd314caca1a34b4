"""Delivery: brings batches to one destination, whatever it answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tickspan_spool.entries import Entry, export_request
from tickspan_spool.reasons import Reason

from .backoff import Backoff
from .breaker import Breaker, BreakerState
from .channel import Channel
from .dead_letters import DeadLetters
from .destination import Destination
from .outcome import Outcome, OutcomeKind
from .parts import Parts
from .request_size import RequestSize

_BAD_REQUESTS_IN_A_ROW = 3
_AWAIT_S = 1.0
_PROFILES = "profiles"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch so far.

    Attributes:
        is_done: every item is delivered or dropped, and the counts add up to the items of the batch. Until
            then they are empty, and the same batch has to be given again.
        delivered: items that the destination took.
        dropped: items that it did not take and never will.
        wait_s: seconds until the next attempt makes sense; 0 means at once.
        explanation: the latest trouble in one sentence, empty when there is none.
    """

    is_done: bool
    delivered: int = 0
    dropped: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    wait_s: float = 0.0
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryStatistics:
    """A delivery as a human wants to see it.

    Attributes:
        place: the destination without credentials.
        requests: sent, probes included.
        delivered: items taken.
        dropped: items not taken, by reason.
        failures_in_a_row: since the last answer that settled something.
        ambiguous: requests without an answer; each may have been accepted, and was sent again.
        breaker: "closed", or how far the way back is.
        largest_request_bytes: what the destination takes, as learnt from 413; None while it took everything.
        letters_lost: dead letters that could not be kept.
        last_trouble: one sentence.
    """

    place: str
    requests: int
    delivered: int
    dropped: Mapping[Reason, int]
    failures_in_a_row: int
    ambiguous: int
    breaker: BreakerState
    largest_request_bytes: int | None
    letters_lost: int
    last_trouble: str


class Delivery:
    """One destination. For one thread, without one of its own; nothing sleeps here.

    `attempt` sends at most one request. A batch is sent with the same boundaries until the destination has
    said something about it, so that a request whose answer was lost doubles no more than itself.

    A destination that does not know profiles, a young signal, gets no more of them, which is said once.

    Args:
        destination: where to.
        channel: the way there, see `open_channel`.
        dead_letters: where refused requests are kept; None keeps none.
        clock: monotonic seconds.
        random: for the jitter; never the application's.
    """

    def __init__(
        self,
        destination: Destination,
        channel: Channel,
        *,
        dead_letters: DeadLetters | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._destination = destination
        self._channel = channel
        self._dead_letters = dead_letters
        self._clock = clock
        self._backoff = Backoff(random or Random())  # noqa: S311 - jitter, no secret
        self._breaker = Breaker()
        self._size = RequestSize()
        self._parts = Parts()
        self._not_before_s = clock()
        self._bad_requests = 0
        self._requests = 0
        self._ambiguous = 0
        self._letters_lost = 0
        self._totals: Counter[Reason] = Counter()
        self._delivered = 0
        self._trouble = ""
        self._is_unwanted = False

    def __repr__(self) -> str:
        trouble = self._trouble or "well"
        return f"<Delivery to {self._destination.label}, breaker {self._breaker.state}, {trouble}>"

    def attempt(self, entries: Sequence[Entry], timeout_s: float | None = None) -> Verdict:
        """Go on with a batch by one request at most.

        Args:
            entries: of one signal, the same ones until the verdict is done. More may follow behind them
                meanwhile; other ones mean that the caller has given the batch up.
            timeout_s: for this request, where the caller has less time than the destination's timeout.
        """
        self._parts.take(entries)
        if self._parts.is_settled:
            return self._done()
        if self._is_unwanted:
            return self._left_out()
        now_s = self._clock()
        lacking = self._channel.lacking()
        if lacking:
            return Verdict(is_done=False, wait_s=_AWAIT_S, explanation=lacking)
        wait_s = max(self._not_before_s - now_s, self._breaker.wait_s(now_s))
        if wait_s > 0:
            return Verdict(is_done=False, wait_s=wait_s, explanation=self._trouble)
        if self._breaker.state is BreakerState.OPEN:
            self._probe(timeout_s)
        else:
            self._send_part(timeout_s)
        return self._done() if self._parts.is_settled else self._go_on()

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """Credentials that came later. What waits for a breaker is tried at once."""
        self._channel.use_headers(headers)
        self._breaker.hasten()
        self._not_before_s = self._clock()

    def statistics(self) -> DeliveryStatistics:
        """Consistent when called from the delivering thread, else a moment's mixture."""
        return DeliveryStatistics(
            place=self._destination.label,
            requests=self._requests,
            delivered=self._delivered,
            dropped=dict(self._totals),
            failures_in_a_row=self._backoff.failures,
            ambiguous=self._ambiguous,
            breaker=self._breaker.state,
            largest_request_bytes=self._size.limit_bytes,
            letters_lost=self._letters_lost,
            last_trouble=self._trouble,
        )

    def close(self) -> None:
        """Let go of the connection. A batch in hand is the caller's as before."""
        self._channel.close()

    def _done(self) -> Verdict:
        delivered, dropped = self._parts.finish()
        return Verdict(is_done=True, delivered=delivered, dropped=dropped, explanation=self._trouble)

    def _left_out(self) -> Verdict:
        """The destination does not know profiles, which was said."""
        self._trouble = ""
        while not self._parts.is_settled:
            items = sum(entry.items for entry in self._parts.first)
            self._drop(Reason.REFUSED, items)
            self._parts.settle(0, Reason.REFUSED, items)
        return self._done()

    def _go_on(self) -> Verdict:
        now_s = self._clock()
        wait_s = max(0.0, self._not_before_s - now_s, self._breaker.wait_s(now_s))
        return Verdict(is_done=False, wait_s=wait_s, explanation=self._trouble)

    def _probe(self, timeout_s: float | None) -> None:
        """An empty request: a server that has recovered says so, and one that has not eats nothing."""
        outcome = self._request(b"", 0, timeout_s)
        if outcome.kind is OutcomeKind.RETRY:
            self._retry_later(outcome)
        elif outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.DEAD}:
            # "bad request" is about the emptiness of this one: the next step tells
            self._breaker.accept()
            self._backoff.after_success()
        else:
            self._breaker.refuse(self._clock())

    def _send_part(self, timeout_s: float | None) -> None:
        part = self._next_part()
        body = export_request(part)
        items = sum(entry.items for entry in part)
        outcome = self._request(body, items, timeout_s)
        match outcome.kind:
            case OutcomeKind.DELIVERED:
                self._settle_delivered(part, items, outcome)
            case OutcomeKind.RETRY:
                self._parts.fix()
                self._retry_later(outcome)
            case OutcomeKind.SPLIT if len(part) > 1:
                self._size.refuse(part)
                self._parts.halve()
            case OutcomeKind.SPLIT:
                self._bury(body, items, outcome)
            case OutcomeKind.DEAD | OutcomeKind.PAUSED:
                self._bury(body, items, outcome)
                self._note_refusal(outcome)

    def _next_part(self) -> Sequence[Entry]:
        """What the next request holds. An unanswered one is repeated as it was."""
        if not self._parts.is_fixed:
            if self._breaker.state is BreakerState.SMALL or self._is_of_profiles:
                self._parts.cut(1)
            elif not self._parts.is_split:  # halves are tried as they are: so one freak record is found
                self._parts.cut(self._size.fitting(self._parts.first))
        return self._parts.first

    def _request(self, body: bytes, items: int, timeout_s: float | None) -> Outcome:
        self._requests += 1
        outcome = self._channel.send(body, items, timeout_s)
        self._ambiguous += outcome.is_ambiguous
        self._trouble = outcome.explanation and f"{self._destination.label}: {outcome.explanation}"
        if outcome.is_unknown and self._is_of_profiles:
            self._is_unwanted = True
            self._trouble += "; no profiles are sent there any more"
        return outcome

    def _retry_later(self, outcome: Outcome) -> None:
        self._not_before_s = self._clock() + self._backoff.after_failure(outcome.wait_s)

    def _settle_delivered(self, part: Sequence[Entry], items: int, outcome: Outcome) -> None:
        self._size.accept(part)
        self._breaker.accept()
        self._backoff.after_success()
        self._bad_requests = 0
        self._delivered += items - outcome.rejected
        self._drop(Reason.REJECTED, outcome.rejected)
        self._parts.settle(items - outcome.rejected, Reason.REJECTED, outcome.rejected)

    def _bury(self, body: bytes, items: int, outcome: Outcome) -> None:
        """The first part is dead: keep it if it can be kept, count it in any case. A profile is not kept."""
        self._backoff.after_success()
        if self._dead_letters is not None and not self._is_of_profiles:
            failure = self._dead_letters.add(
                self._destination.signal,
                body,
                items=items,
                reason=outcome.explanation,
                place=self._destination.label,
            )
            if failure:
                self._letters_lost += 1
                self._trouble = f"{self._trouble}; the dead letter is lost: {failure}"
        self._drop(Reason.REFUSED, items)
        self._parts.settle(0, Reason.REFUSED, items)

    @property
    def _is_of_profiles(self) -> bool:
        return self._destination.signal == _PROFILES

    def _drop(self, reason: Reason, items: int) -> None:
        if items:
            self._totals[reason] += items

    def _note_refusal(self, outcome: Outcome) -> None:
        """Three bad requests in a row, or one on trial, are taken for the destination's mood."""
        self._bad_requests += 1
        is_on_trial = self._breaker.state is not BreakerState.CLOSED
        if outcome.kind is OutcomeKind.PAUSED or is_on_trial or self._bad_requests >= _BAD_REQUESTS_IN_A_ROW:
            self._bad_requests = 0
            self._breaker.refuse(self._clock())
