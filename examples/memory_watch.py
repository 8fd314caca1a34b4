"""Memory of a trading loop: short pauses, buffers that are used again, and what a detailed look finds.

Run `python examples/memory_watch.py`. Needs nothing but tickspan.
"""

import gc

import tickspan
from tickspan import memory

TICKS = 20_000
KEPT = 2_000

history: list[dict[str, float]] = []


@memory.memory_optimized
def on_tick(number: int) -> float:
    """One message: a mapping that is used again."""
    quote = quotes.acquire()
    quote["bid"] = number / 10
    quote["ask"] = quote["bid"] + 0.1
    middle = (quote["bid"] + quote["ask"]) / 2
    quotes.release(quote)
    return middle


quotes: memory.ObjectPool[dict[str, float]] = memory.ObjectPool(dict, reset=dict.clear, name="quotes")


def leak() -> None:
    """What keeps growing in many programs: a list that nobody shortens."""
    history.extend({"price": float(number)} for number in range(KEPT))


def main() -> None:
    """Plan, trade, look."""
    tickspan.init(service_name="memory")
    usual = gc.get_threshold()
    plan = memory.optimize_for_high_frequency_trading()
    print("the plan holds:", plan.is_applied, "and full collections walk only what came since")
    with memory.critical():
        total = sum(on_tick(number) for number in range(TICKS))
    told = quotes.statistics()
    print(f"{TICKS:,} ticks, {told.made} mapping made, {told.reused:,} times used again, sum {total:,.0f}")

    with memory.detailed(seconds=10) as window:
        leak()
    detail = window.stop()
    line = detail.lines[0].place.partition(":")[0]
    print(f"{detail.traced_bytes / 1e6:.1f} MB came from {line}, {len(history):,} quotes are kept")
    plan.revert()
    print("taken back:", gc.get_threshold() == usual)


if __name__ == "__main__":
    main()
