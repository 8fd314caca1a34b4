"""How time grows with size, judged from noisy calls."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from tickspan.analysis.complexity import ORDERS, Complexity, complexity


def calls(order: str, noise: float, seed: int, powers: range = range(4, 17)) -> Iterator[tuple[float, float]]:
    """Five calls for each power of two; noise only adds time."""
    generator = random.Random(seed)
    of_n, of_log = ORDERS[order]
    for power in powers:
        for _ in range(5):
            size = generator.randrange(2**power, 2 ** (power + 1))
            seconds = 1e-6 * size**of_n * math.log(size) ** of_log
            yield size, seconds * (1 + noise * abs(generator.gauss(0, 1)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_order_is_found_in_95_of_100_noisy_series(order: str, noise: float):
    verdicts = [complexity(calls(order, noise, seed)).order for seed in range(100)]
    assert verdicts.count(order) >= 95


@pytest.mark.parametrize("order", ORDERS)
def test_symmetric_noise_of_a_fifth_rarely_names_another_order(order: str):
    def noisy(seed: int) -> Iterator[tuple[float, float]]:
        generator = random.Random(seed)
        return (
            (size, seconds * math.exp(generator.gauss(0, 0.2))) for size, seconds in calls(order, 0.0, seed)
        )

    verdicts = [complexity(noisy(seed)).order for seed in range(100)]
    assert sum(verdict not in {order, "undecided"} for verdict in verdicts) <= 2
    assert verdicts.count(order) >= 95


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("powers", [range(10, 16), range(4, 11)])
def test_a_narrow_range_or_few_sizes_leave_it_undecided(order: str, powers: range):
    found = [complexity(calls(order, 0.2, seed, powers)) for seed in range(20)]
    assert {one.order for one in found} == {"undecided"}
    assert {one.best in ORDERS for one in found} == {True}


def test_the_verdict_tells_its_range_and_exponent():
    found = complexity((2.0**power, 3e-6 * 4.0**power) for power in range(1, 11))
    assert found == Complexity(
        "n²", "n²", found.runner_up, found.exponent, found.exponent_interval, (2.0, 1024.0), 10
    )
    assert found.exponent == pytest.approx(2.0)
    assert found.exponent_interval[0] <= 2.0 + 1e-9 <= found.exponent_interval[1] + 1e-6


@pytest.mark.parametrize(
    "points", [[], [(10, 1.0)], [(10, 1.0), (11, 1.0)], [(1, 1.0), (0, 1.0)], [(8, 0), (99, -1)]]
)
def test_fewer_than_two_sizes_are_refused(points: list[tuple[float, float]]):
    with pytest.raises(ValueError, match="at least 2 sizes"):
        complexity(points)


@pytest.mark.parametrize(
    ("order", "powers"), [("n", range(4, 17)), ("n²", range(3, 12)), ("n³", range(3, 12))]
)
@pytest.mark.parametrize("overhead", [1, 3, 10])
def test_what_every_call_takes_beside_is_never_taken_for_another_order(
    order: str, powers: range, overhead: int
):
    def series(seed: int) -> list[tuple[float, float]]:
        bare = list(calls(order, 0.2, seed, powers))
        return [(size, seconds + overhead * min(bare)[1]) for size, seconds in bare]

    verdicts = [complexity(series(seed)).order for seed in range(30)]
    assert set(verdicts) <= {order, "undecided"}
    assert verdicts.count(order) >= 25


def test_times_that_fit_no_order_leave_it_undecided():
    found = complexity((2.0**power, 1e-6 * 2.0 ** (0.6 * power)) for power in range(3, 17))
    assert (found.order, round(found.exponent, 2)) == ("undecided", 0.6)
