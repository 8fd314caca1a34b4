"""tickspan's conformance suite, on the real libraries against a simulated venue."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
import quickfix
import simplefix
from tickspan.instrumentation import Instrumentor
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import VenueSimulator
from tickspan_fix import FixInstrumentor

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "0.01"), (40, "2"), (44, "90000.00"))


@pytest.mark.integration
class TestFix(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = FixInstrumentor

    @pytest.fixture
    def calls(self, make_venue: MakeVenue, make_client: MakeClient) -> Sequence[Call]:
        venue = make_venue()
        numbers = itertools.count()

        def trade(library: str, **options: Any) -> list[str]:
            """A session of its own: an order that is filled, and one that is refused."""
            client = make_client(library, venue, **options)
            client.send("D", (11, f"a{next(numbers)}"), *LIMIT)
            client.until(2)
            client.send("D", (11, f"a{next(numbers)}"), *LIMIT[:4])
            client.until(3)
            client.close()
            return client.got

        def send_to_nobody() -> None:
            message: Any = quickfix.Message()
            message.getHeader().setField(quickfix.MsgType("D"))
            message.setField(quickfix.ClOrdID("a"))
            quickfix.Session.sendToTarget(message, "NOBODY", "NOWHERE")

        def encode_half_a_message() -> None:
            message: Any = simplefix.FixMessage()
            for tag, value in ((35, "D"), (49, "CLIENT"), (56, "VENUE"), (34, 1), (11, "a")):
                message.append_pair(tag, value)
            message.encode()

        return (
            Call("QuickFIX", lambda: trade("quickfix")),
            # simplefix keeps no numbers: each run is a session under a name of its own.
            Call("simplefix", lambda: trade("simplefix", sender=f"CLIENT{next(numbers)}")),
            Call("no such session", send_to_nobody, error=quickfix.SessionNotFound),
            Call("no begin string", encode_half_a_message, error=ValueError),
        )
