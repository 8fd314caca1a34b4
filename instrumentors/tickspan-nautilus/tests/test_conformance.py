"""tickspan's conformance suite, on real back-tests whose orders are told one by one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.capture import Capture
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan_nautilus import NautilusInstrumentor


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:.*utcnow is deprecated")
class TestNautilus(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = NautilusInstrumentor

    @pytest.fixture
    def calls(self, lab: Any) -> Sequence[Call]:
        return (
            Call("a back-test", lambda: lab.run(200, 40)),
            Call("a strategy that breaks", lambda: lab.run(breaks_at="submitted"), error=RuntimeError),
            Call("a strategy that cannot start", lambda: lab.run(breaks_at="start"), error=RuntimeError),
        )

    @contextmanager
    def instrumented(self, telemetry: Capture, **options: Any) -> Generator[None]:
        """As always, with the setting that makes a back-test tell its orders."""
        with super().instrumented(telemetry, settings={"backtest_traces": True}, **options):
            yield
