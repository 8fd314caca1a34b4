"""A desk with what a demo told, and with what a test tells it."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tickspan_desk.store import Store
from tickspan_desk.web.app import make_app
from tickspan_spool.receiver import Limits, decode

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from desk_visitor import Visitor

from tickspan.received import Telemetry, decode_json_lines

DEMO = Path(__file__).with_name("demo.jsonl.gz")
"""Of a run of `tickspan demo`: two orders of its bot, and what the bot in trouble told, without metrics."""


@pytest.fixture(scope="session")
def demo() -> Telemetry:
    """What was recorded, decoded."""
    return decode_json_lines(gzip.decompress(DEMO.read_bytes()).splitlines())


@pytest.fixture(scope="module")
def demo_desk() -> Iterator[Visitor]:
    """A visitor of a desk that has it."""
    with Store(max_age_s=1e9) as store:
        for line in gzip.decompress(DEMO.read_bytes()).splitlines():
            signal = "traces" if line.startswith(b'{"resourceSpans') else "logs"
            store.take(decode(signal, {"content-type": "application/json"}, line, Limits()))
        store.settle()
        yield Visitor(make_app(store))


@pytest.fixture
def desk_of() -> Iterator[Callable[..., Visitor]]:
    """A visitor of a desk that has been told what is given."""
    stores: list[Store] = []

    def made(telemetry: Telemetry | None = None) -> Visitor:
        from desk_visitor import batches_of

        stores.append(Store(max_age_s=1e9))
        for batch in batches_of(telemetry or Telemetry()):
            stores[-1].take(batch)
        stores[-1].settle()
        return Visitor(make_app(stores[-1]))

    yield made
    for store in stores:
        store.close()
