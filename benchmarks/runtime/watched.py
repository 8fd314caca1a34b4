"""A process whose spans are watched: what they say of what held them up, and what watching costs."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from tickspan_spool import twins

from benchmarks.runtime import held
from benchmarks.sidebyside.lines import answer, questions
from tickspan.processors.memory import watch_spans
from tickspan.providers import TracerProvider

EMPTY, PLAIN, WATCHED = "empty loop", "span", "watched span"
FORMS: Final = (EMPTY, PLAIN, WATCHED)
SHARE: Final = "share"
_TURN: Final = 200
"""Spans between two times at which a loop comes round."""
_ATTRIBUTES: Final = {"symbol": "BTC/USDT", "side": "buy", "quantity": 0.25, "price": 50_000.25}


class _Nowhere:
    """A sink that lets everything go."""

    def stream(self, _: object) -> _Nowhere:
        return self

    def append(self, record: bytes, items: int = 1) -> None:
        """Nothing is kept."""

    def force_flush(self, _: float) -> bool:
        return True


def _tracer(*, is_watched: bool) -> Any:
    sink: Any = _Nowhere()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    if is_watched:
        watch_spans(provider)
    return provider.get_tracer("desk")


def _work(tracer: Any, has_attributes: bool) -> Callable[[], None]:
    attributes = _ATTRIBUTES if has_attributes else None

    def spans() -> None:
        for _ in range(_TURN):
            with tracer.start_as_current_span("order", attributes=attributes):
                pass

    def nothing() -> None:
        for _ in range(_TURN):
            pass

    return nothing if tracer is None else spans


async def _timed(works: Mapping[str, Callable[[], None]], turns: int, *, in_loop: bool) -> dict[str, float]:
    """Nanoseconds of one span of each form, the median of all turns; they take turns."""
    found: dict[str, list[float]] = {form: [] for form in works}
    for number in range(turns):
        forms = list(works.items())
        for form, work in forms if number % 2 else reversed(forms):
            if in_loop:
                await asyncio.sleep(0)  # it comes round
            begun_ns = time.perf_counter_ns()
            work()
            found[form].append((time.perf_counter_ns() - begun_ns) / _TURN)
    shares = [watched / plain for plain, watched in zip(found[PLAIN], found[WATCHED], strict=True)]
    return {**{form: median(values) for form, values in found.items()}, SHARE: median(shares)}


def costs(tracers: Mapping[str, Any], turns: int, *, has_attributes: bool, in_loop: bool) -> dict[str, float]:
    """Of each form, and how many times as long a watched span takes as the one before or after it."""
    works = {form: _work(tracers[form], has_attributes) for form in FORMS}
    timed = _timed(works, turns, in_loop=in_loop)
    if in_loop:
        return asyncio.run(timed)
    try:
        timed.send(None)
    except StopIteration as ended:  # it never waits
        return ended.value
    raise RuntimeError("expected work without a loop")


def allocated(tracer: Any, spans: int) -> int:
    """Blocks that stay after so many spans, less what a run of one turn leaves."""
    work = _work(tracer, has_attributes=True)
    work()
    gc.collect()
    gc.disable()
    try:
        work()
        before = sys.getallocatedblocks()
        for _ in range(spans // _TURN):
            work()
        return sys.getallocatedblocks() - before
    finally:
        gc.enable()


def main() -> None:
    """Answer questions."""
    tracers = {EMPTY: None, PLAIN: _tracer(is_watched=False), WATCHED: _tracer(is_watched=True)}
    span = next(twin for twin in twins.chosen() if twin.name.endswith("recording.span"))
    answer({"is_compiled": span.is_compiled})
    for question in questions():
        if "kind" in question:
            told = held.measured(question["kind"], question["spans"], question["seed"])
            answer({name: getattr(told, name) for name in held.Attribution.__slots__})
        elif "allocated" in question:
            answer({form: allocated(tracers[form], question["allocated"]) for form in (PLAIN, WATCHED)})
        else:
            answer(
                costs(
                    tracers,
                    question["turns"],
                    has_attributes=question["attributes"],
                    in_loop=question["loop"],
                )
            )


if __name__ == "__main__":
    main()
