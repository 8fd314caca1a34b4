"""How many Python functions a span enters from its start to its end: counted, the same on every machine."""

from __future__ import annotations

from typing import Any

import pytest
from tickspan_spool import twins

from tickspan.providers import TracerProvider
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf

CEILINGS = {"compiled": 2, "pure": 60}
"""With the two of `MemorySink`, which keeps an entry; the spool's own stream is compiled."""


def life_of_a_span(tracer: Any) -> None:
    with tracer.start_as_current_span("order") as span:
        span.set_attribute("symbol", "BTC/USDT")
        span.set_attribute("price", 64_000.5)
        span.set_attribute("quantity", 3)
        span.set_attribute("is_live", True)  # noqa: FBT003 - the API's
        span.set_attribute("venue", "binance")


def test_a_span_with_five_attributes_enters_few_python_functions() -> None:
    tracer = TracerProvider(shutdown_on_exit=False, sink=MemorySink()).get_tracer("test")
    own = 1  # `life_of_a_span` itself
    assert calls_of(life_of_a_span, tracer) - own <= CEILINGS[twins.implementation()]
