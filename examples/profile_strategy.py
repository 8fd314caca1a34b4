"""Where the time of a strategy goes: functions and sections that are measured, and samples of all threads.

Run `python examples/profile_strategy.py`. Needs nothing but tickspan. A program that runs is asked for the
same by `tickspan profile record --pid N`.
"""

import time

from tickspan import profiler

ROUNDS = 40
PRICES = [100.0 + number % 17 for number in range(2_000)]


@profiler.profile_function(size=len)
def averages(prices: list[float]) -> list[float]:
    """A moving average, as it should not be written: it adds everything up again for each price."""
    return [sum(prices[max(0, at - 50) : at + 1]) / 51 for at in range(len(prices))]


@profiler.profile_function()
def decide(prices: list[float]) -> bool:
    """Cheap."""
    return prices[-1] > prices[0]


def main() -> None:
    """Trade for a while, then read the report."""
    profiler.start("continuous", hz=100)
    until_s = time.monotonic() + 0.6
    rounds = 0
    while time.monotonic() < until_s or rounds < ROUNDS:
        with profiler.section("one round"):
            decide(averages(PRICES))
        rounds += 1
    report = profiler.get_performance_report()
    profiler.stop()
    functions = [one for one in report.functions if one.name != "one round"]
    slowest = max(functions, key=lambda one: one.running_s)
    print("most time went into:", slowest.name.rpartition(".")[2])
    print("each was measured in every round:", {one.calls for one in report.functions} == {rounds})
    print("the sampler saw it too:", any("averages" in str(one) for one in report.hot))
    print(report)


if __name__ == "__main__":
    main()
