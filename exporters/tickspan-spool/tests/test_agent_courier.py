"""A courier: whose turn it is, the same batch until it is settled, and what a removed source means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tickspan_spool.courier import Courier, Step
from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.reasons import Reason

_KEY = StreamKey("traces", b"", b"")


def _entries(*names: str) -> list[Entry]:
    return [Entry(_KEY, name.encode(), 1, number) for number, name in enumerate(names)]


@dataclass(frozen=True)
class _Verdict:
    is_done: bool = True
    delivered: int = 1
    dropped: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    wait_s: float = 0.0
    explanation: str = ""


class _Source:
    signal: Signal = "traces"

    def __init__(self, *names: str) -> None:
        self.waiting = _entries(*names)
        self.settled: list[tuple[str, int, Mapping[Reason, int]]] = []

    def read(self, max_records: int, max_bytes: int) -> list[Entry]:
        return self.waiting[:max_records]

    def acknowledge(self, entries: Sequence[Entry], delivered: int, dropped: Mapping[Reason, int]) -> None:
        self.settled.append((_text(entries), delivered, dropped))
        self.waiting = self.waiting[len(entries) :]


class _Carrier:
    def __init__(self, *verdicts: _Verdict) -> None:
        self.sent: list[str] = []
        self._verdicts = list(verdicts)

    def attempt(self, entries: Sequence[Entry]) -> _Verdict:
        self.sent.append(_text(entries))
        return self._verdicts.pop(0) if self._verdicts else _Verdict(delivered=len(entries))


def _text(entries: Sequence[Entry]) -> str:
    return b" ".join(entry.body for entry in entries).decode()


def _courier(carrier: _Carrier, *sources: _Source) -> Courier:
    courier = Courier(carrier, max_records=2, max_bytes=1_000)
    for source in sources:
        courier.add(source)
    return courier


def test_sources_take_turns():
    carrier = _Carrier()
    courier = _courier(carrier, _Source("a1", "a2", "a3"), _Source("b1"), _Source())
    steps = [courier.step() for _ in range(4)]
    assert carrier.sent == ["a1 a2", "b1", "a3"]
    assert steps == [Step(2, is_full=True), Step(1), Step(1), Step(is_idle=True)]


def test_a_settled_batch_is_acknowledged_with_what_became_of_it():
    source = _Source("a1", "a2")
    courier = _courier(
        _Carrier(_Verdict(delivered=1, dropped={Reason.REJECTED: 1}, wait_s=0.5, explanation="one rejected")),
        source,
    )
    assert courier.step() == Step(1, 1, 0.5, is_full=True, explanation="one rejected")
    assert (source.settled, source.waiting) == ([("a1 a2", 1, {Reason.REJECTED: 1})], [])


def test_the_same_batch_is_tried_until_it_is_settled():
    carrier = _Carrier(
        _Verdict(is_done=False, wait_s=3, explanation="503"), _Verdict(is_done=False, wait_s=6)
    )
    source = _Source("a1")
    courier = _courier(carrier, source)
    first = courier.step()
    source.waiting += _entries("a2")
    courier.step()
    courier.step()
    assert first == Step(wait_s=3, is_stuck=True, explanation="503")
    assert (carrier.sent, source.settled) == (["a1", "a1", "a1"], [("a1", 1, {})])


def test_a_removed_source_is_not_acknowledged_any_more():
    carrier = _Carrier(_Verdict(is_done=False))
    gone, other = _Source("a1"), _Source("b1")
    courier = _courier(carrier, gone)
    courier.step()
    courier.remove(gone)
    courier.add(other)
    courier.step()
    courier.step()
    assert (carrier.sent, gone.settled, other.settled) == (["a1", "a1", "b1"], [], [("b1", 1, {})])


def test_a_courier_without_sources_is_idle_and_empty():
    courier = _courier(_Carrier())
    assert (courier.step(), courier.is_empty) == (Step(is_idle=True), True)


def test_large_records_make_a_full_batch_before_it_has_many():
    courier = Courier(_Carrier(), max_records=100, max_bytes=10)
    courier.add(_Source("abcde"))
    assert courier.step() == Step(1, is_full=True)
