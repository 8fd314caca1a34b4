"""What a delivery does with a batch, whatever the channel answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import (
    BreakerState,
    DeadLetters,
    Delivery,
    DeliveryStatistics,
    Destination,
    Outcome,
    OutcomeKind,
    Verdict,
    list_letters,
)

_STREAM = StreamKey("traces", b"", b"")
_DESTINATION = Destination("traces", "http://collector/v1/traces")
_DELIVERED = Outcome(OutcomeKind.DELIVERED)
_BUSY = Outcome(OutcomeKind.RETRY, explanation="busy")
_LOST = Outcome(OutcomeKind.RETRY, explanation="no answer", is_ambiguous=True)
_SPLIT = Outcome(OutcomeKind.SPLIT, explanation="too large")
_BAD = Outcome(OutcomeKind.DEAD, explanation="bad")
_DENIED = Outcome(OutcomeKind.PAUSED, explanation="denied")

Rule = Callable[[list[str]], Outcome]


def _entries(*names: str) -> list[Entry]:
    return [
        Entry(_STREAM, ScopeSpans(spans=[Span(name=name)]).SerializeToString(), 1, number)
        for number, name in enumerate(names)
    ]


def _names(body: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
    ]


class _Top:
    """A generator that always draws the upper bound."""

    def uniform(self, low: float, high: float) -> float:
        return low + high


@dataclass
class Stage:
    """A delivery over a channel that follows a rule, and a clock that its waits move."""

    rule: Rule
    letters: Path | None = None
    sent: list[list[str]] = field(default_factory=list[list[str]])
    now_s: float = 0.0
    waiting_for: str = ""
    given: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.delivery = Delivery(
            _DESTINATION,
            self,
            dead_letters=DeadLetters(self.letters) if self.letters else None,
            clock=lambda: self.now_s,
            random=_Top(),  # pyright: ignore[reportArgumentType] - it draws by `uniform` only
        )

    def send(self, body: bytes, records: int, timeout_s: float | None = None) -> Outcome:
        del timeout_s
        names = _names(body)
        assert len(names) == records
        self.sent.append(names)
        return self.rule(names)

    def use_headers(self, headers: Mapping[str, str]) -> None:
        self.given = headers

    def lacking(self) -> str:
        return self.waiting_for

    def close(self) -> None:
        pass

    def deliver(self, entries: Sequence[Entry], attempts: int = 1000) -> Verdict:
        """Until it is done, or for that many attempts; waits pass at once."""
        for _ in range(attempts):
            verdict = self.delivery.attempt(entries)
            if verdict.is_done:
                return verdict
            self.now_s += verdict.wait_s
        return Verdict(is_done=False)


def _script(*outcomes: Outcome) -> Rule:
    left = list(outcomes)
    return lambda _names: left.pop(0) if left else _DELIVERED


def test_a_batch_goes_in_one_request():
    stage = Stage(_script())
    assert stage.deliver(_entries("a", "b", "c")) == Verdict(is_done=True, delivered=3)
    assert stage.sent == [["a", "b", "c"]]


def test_no_entries_need_no_request():
    stage = Stage(_script())
    assert stage.deliver([]) == Verdict(is_done=True)
    assert stage.sent == []


def test_rejected_records_are_dropped_and_not_sent_again():
    stage = Stage(_script(Outcome(OutcomeKind.DELIVERED, rejected=2, explanation="two are old")))
    assert stage.deliver(_entries("a", "b", "c")) == Verdict(
        is_done=True,
        delivered=1,
        dropped={Reason.REJECTED: 2},
        explanation="http://collector/v1/traces: two are old",
    )
    assert len(stage.sent) == 1


def test_a_busy_destination_is_asked_again_for_ever_with_growing_waits():
    stage = Stage(_script(*[_BUSY] * 50))
    waits: list[float] = []
    for _ in range(8):
        verdict = stage.delivery.attempt(_entries("a"))
        waits.append(verdict.wait_s)
        stage.now_s += verdict.wait_s
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert stage.deliver(_entries("a")).delivered == 1
    assert len(stage.sent) == 51


def test_nothing_is_sent_before_the_wait_is_over():
    stage = Stage(_script(Outcome(OutcomeKind.RETRY, wait_s=60.0, explanation="busy")))
    stage.delivery.attempt(_entries("a"))
    stage.now_s += 59.0
    assert stage.delivery.attempt(_entries("a")) == Verdict(
        is_done=False, wait_s=1.0, explanation="http://collector/v1/traces: busy"
    )
    assert len(stage.sent) == 1


def test_an_unanswered_batch_is_sent_again_alone_with_the_same_boundaries():
    stage = Stage(_script(_LOST, _LOST))
    stage.deliver(_entries("a", "b"), attempts=1)
    more = _entries("a", "b", "c", "d")
    assert stage.deliver(more) == Verdict(is_done=True, delivered=4)
    assert stage.sent == [["a", "b"], ["a", "b"], ["a", "b"], ["c", "d"]]
    assert stage.delivery.statistics().ambiguous == 2


def test_another_batch_means_that_the_first_was_given_up():
    stage = Stage(_script(_LOST))
    stage.deliver(_entries("a", "b"), attempts=1)
    assert stage.deliver(_entries("x")) == Verdict(is_done=True, delivered=1)
    assert stage.sent == [["a", "b"], ["x"]]


def test_a_batch_that_is_too_large_is_halved_and_the_one_record_that_never_fits_is_dead(tmp_path: Path):
    stage = Stage(lambda names: _SPLIT if "big" in names else _DELIVERED, letters=tmp_path)
    assert stage.deliver(_entries("a", "b", "big", "c", "d")) == Verdict(
        is_done=True,
        delivered=4,
        dropped={Reason.REFUSED: 1},
    )
    assert stage.sent == [
        ["a", "b", "big", "c", "d"],
        ["a", "b", "big"],
        ["a", "b"],
        ["big"],
        ["c", "d"],
    ]
    [letter] = list_letters(tmp_path)
    assert (letter.signal, letter.items, letter.reason, letter.place) == (
        "traces",
        1,
        "too large",
        "http://collector/v1/traces",
    )


def test_progress_survives_a_failure_between_the_halves():
    stage = Stage(_script(_SPLIT, _DELIVERED, _BUSY))
    assert stage.deliver(_entries("a", "b", "c", "d")) == Verdict(is_done=True, delivered=4)
    assert stage.sent == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c", "d"]]


def test_the_size_that_passed_is_remembered():
    stage = Stage(lambda names: _SPLIT if len(names) > 2 else _DELIVERED)
    names = [f"span {number}" for number in range(8)]
    stage.deliver(_entries(*names))
    stage.sent.clear()
    stage.deliver(_entries(*names))
    assert stage.sent == [names[0:2], names[2:4], names[4:6], names[6:8]]


def test_one_freak_record_does_not_make_all_later_batches_small():
    stage = Stage(lambda names: _SPLIT if "freak" in names else _DELIVERED)
    names = [f"span {number}" for number in range(16)]
    stage.deliver(_entries("freak", *names))
    assert stage.delivery.statistics().largest_request_bytes is None


def test_a_bad_batch_is_dead_and_the_next_one_goes(tmp_path: Path):
    stage = Stage(_script(_BAD), letters=tmp_path)
    assert stage.deliver(_entries("a", "b")) == Verdict(
        is_done=True, dropped={Reason.REFUSED: 2}, explanation="http://collector/v1/traces: bad"
    )
    assert stage.deliver(_entries("c")) == Verdict(is_done=True, delivered=1)
    assert [letter.items for letter in list_letters(tmp_path)] == [2]


def test_three_bad_batches_in_a_row_open_the_breaker():
    stage = Stage(_script(_BAD, _BAD, _DELIVERED, _BAD, _BAD, _BAD))
    states: list[BreakerState] = []
    for name in "abcdef":
        stage.deliver(_entries(name))
        states.append(stage.delivery.statistics().breaker)
    assert states == [BreakerState.CLOSED] * 5 + [BreakerState.OPEN]


def test_a_refusal_opens_the_breaker_which_goes_back_in_steps():
    stage = Stage(_script(_DENIED))
    stage.deliver(_entries("a", "b"))
    assert stage.delivery.attempt(_entries("c", "d", "e")) == Verdict(
        is_done=False, wait_s=10.0, explanation="http://collector/v1/traces: denied"
    )
    assert stage.deliver(_entries("c", "d", "e")) == Verdict(is_done=True, delivered=3)
    assert stage.sent == [["a", "b"], [], ["c"], ["d", "e"]]
    assert (stage.now_s, stage.delivery.statistics().breaker) == (10.0, BreakerState.CLOSED)


def test_while_the_breaker_is_open_nothing_is_lost():
    denied = iter([True] * 20)
    stage = Stage(lambda _names: _DENIED if next(denied, False) else _DELIVERED)
    stage.deliver(_entries("a"))
    assert stage.deliver(_entries("b", "c")) == Verdict(is_done=True, delivered=2)
    assert stage.sent == [["a"], *[[]] * 20, ["b"], ["c"]]


def test_a_server_that_likes_only_empty_requests_eats_one_record_per_doubling_interval():
    stage = Stage(lambda names: _DENIED if names else _DELIVERED)
    stage.deliver(_entries("a"))
    eaten_at_s: list[float] = []
    for name in "bcdefghi":
        stage.deliver(_entries(name))
        eaten_at_s.append(stage.now_s)
    waits = [later - earlier for earlier, later in pairwise(eaten_at_s)]
    assert waits == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_an_unreachable_server_keeps_the_breaker_open_without_a_record():
    stage = Stage(_script(_DENIED, _BUSY, _BUSY))
    stage.deliver(_entries("a"))
    assert stage.deliver(_entries("b", "c")) == Verdict(is_done=True, delivered=2)
    assert stage.sent == [["a"], [], [], [], ["b"], ["c"]]


def test_new_credentials_are_tried_at_once():
    stage = Stage(_script(_DENIED))
    stage.deliver(_entries("a"))
    stage.delivery.use_headers({"authorization": "new"})
    assert stage.deliver(_entries("b")) == Verdict(is_done=True, delivered=1)
    assert (stage.now_s, stage.given) == (0.0, {"authorization": "new"})


def test_nothing_is_sent_before_the_credentials_are_known():
    stage = Stage(_script(), waiting_for="the values of these headers are awaited: api-key")
    assert stage.delivery.attempt(_entries("a")) == Verdict(
        is_done=False, wait_s=1.0, explanation="the values of these headers are awaited: api-key"
    )
    assert stage.sent == []


def test_a_letter_that_cannot_be_kept_is_still_counted(tmp_path: Path):
    (tmp_path / "file").touch()
    stage = Stage(_script(_DENIED), letters=tmp_path / "file")
    verdict = stage.deliver(_entries("a"))
    assert verdict.dropped == {Reason.REFUSED: 1}
    assert verdict.explanation.endswith(f"the dead letter is lost: {tmp_path / 'file'}: File exists")
    assert stage.delivery.statistics().letters_lost == 1


def test_statistics_and_repr_tell_a_human_what_goes_on():
    stage = Stage(_script(_DELIVERED, _DENIED, _LOST))
    stage.deliver(_entries("a", "b"))
    stage.deliver(_entries("c"))
    stage.now_s += 10.0
    stage.delivery.attempt(_entries("d"))
    assert stage.delivery.statistics() == DeliveryStatistics(
        place="http://collector/v1/traces",
        requests=3,
        delivered=2,
        dropped={Reason.REFUSED: 1},
        failures_in_a_row=1,
        ambiguous=1,
        breaker=BreakerState.OPEN,
        largest_request_bytes=None,
        letters_lost=0,
        last_trouble="http://collector/v1/traces: no answer",
    )
    assert repr(stage.delivery) == (
        "<Delivery to http://collector/v1/traces, breaker open, http://collector/v1/traces: no answer>"
    )


@pytest.mark.parametrize("kind", [OutcomeKind.DEAD, OutcomeKind.PAUSED])
def test_an_empty_probe_that_is_a_bad_request_is_a_step_forward(kind: OutcomeKind):
    expected = {OutcomeKind.DEAD: [["a"], [], ["b"]], OutcomeKind.PAUSED: [["a"], [], [], ["b"]]}
    stage = Stage(_script(_DENIED, Outcome(kind, explanation="empty")))
    stage.deliver(_entries("a"))
    stage.deliver(_entries("b"))
    assert stage.sent == expected[kind]


@given(
    st.lists(st.sampled_from([_DELIVERED, _BUSY, _LOST, _SPLIT, _BAD, _DENIED]), max_size=60),
    st.integers(1, 9),
)
def test_every_item_is_accounted_for_whatever_is_answered(outcomes: list[Outcome], count: int):
    stage = Stage(_script(*outcomes))
    names = [f"span {number}" for number in range(count)]
    verdict = stage.deliver(_entries(*names))
    assert verdict.is_done
    assert verdict.delivered + sum(verdict.dropped.values()) == count
    assert {name for request in stage.sent for name in request} == set(names)
