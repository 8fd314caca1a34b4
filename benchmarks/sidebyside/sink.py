"""The sink: an OTLP server in a process of its own, asked after each turn for what it was sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sidebyside.lines import answer, questions
from sidebyside.stories import of_received
from tickspan.testing.otlp import OtlpServer

if TYPE_CHECKING:
    from sidebyside.stories import Story

_PATIENCE_S = 5.0


def main() -> None:
    """Say the endpoint; then answer each number of spans with the spans that came, and forget them."""
    with OtlpServer() as server:
        answer(server.endpoint)
        for count in questions():
            answer(_taken(server, count))


def _taken(server: OtlpServer, count: int) -> list[Story]:
    """All spans since the last time, as soon as there are `count`; what did not come in time is missing."""
    with contextlib.suppress(TimeoutError):  # whoever asked sees what is missing
        server.wait_for(lambda server: len(server.spans()) >= count, _PATIENCE_S)
    spans = server.spans()
    server.clear()
    return [of_received(span) for span in spans]


if __name__ == "__main__":
    main()
