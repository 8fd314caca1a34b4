"""Units of work as spans: nested, failed, begun in one callback and finished in another.

Run `python examples/transactions.py`; `OTEL_TRACES_EXPORTER=console` prints the spans, an endpoint in
OTEL_EXPORTER_OTLP_ENDPOINT gets them. Needs nothing but tickspan.
"""

import asyncio

import tickspan


@tickspan.transaction("load positions")
async def load_positions() -> int:
    """A function that is a transaction each time."""
    await asyncio.sleep(0.01)
    return 42


async def rebalance() -> None:
    """One inside the other: the same trace."""
    with tickspan.transaction("rebalance", book="eu") as whole:
        positions = await load_positions()
        with tickspan.transaction("price"):
            await asyncio.sleep(0.005)
        print(f"rebalanced {positions} positions in trace {len(whole.trace_id)} digits long")


async def fail() -> None:
    """What is raised passes unchanged; the span has failed, and only the type is told."""
    try:
        with tickspan.transaction("settle"):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except TimeoutError as error:
        print("the caller still gets its", type(error).__name__)


class Settlement:
    """A transaction whose beginning and end are two callbacks."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    def on_sent(self) -> None:
        """The first callback."""
        self.transaction = tickspan.start_transaction("settlement", venue="house")
        asyncio.get_running_loop().call_later(0.02, self.on_confirmed)

    def on_confirmed(self) -> None:
        """The second one."""
        self.transaction.finish()
        print("settled in the second callback:", "finished" in repr(self.transaction))
        self.done.set()


async def main() -> None:
    """Three kinds."""
    tickspan.init(service_name="transactions")
    await rebalance()
    await fail()
    settlement = Settlement()
    settlement.on_sent()
    await settlement.done.wait()


if __name__ == "__main__":
    asyncio.run(main())
