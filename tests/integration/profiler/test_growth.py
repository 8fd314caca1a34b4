"""How real functions grow is told as it is, or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tickspan.profiler.functions import Functions

pytestmark = pytest.mark.integration

TABLE = {number: number for number in range(1 << 14)}


def sorts(values: list[int]) -> list[int]:
    return sorted(values)


def compares(values: list[int]) -> int:
    return sum(1 for one in values for other in values if one < other)


def looks_up(values: list[int]) -> int:
    return sum(TABLE[value] for value in values)


def triples(values: list[int]) -> int:
    return sum(1 for _ in values for _ in values for _ in values)


@pytest.mark.parametrize(
    ("function", "powers", "orders"),
    [
        (sorts, range(5, 15), {"n log n", "n", "undecided"}),
        (looks_up, range(5, 15), {"n", "n log n", "undecided"}),
        (compares, range(3, 11), {"n²", "undecided"}),
        (triples, range(8), {"undecided"}),
    ],
)
def test_a_function_is_given_its_order_or_none(
    function: Callable[[list[int]], Any], powers: range, orders: set[str]
):
    functions, generator = Functions(), random.Random(1)
    measured = functions.profile(function)
    for _ in range(5):
        for power in powers:
            measured([generator.randrange(1 << 14) for _ in range(2**power)])
    (told,) = functions.statistics()
    assert told.complexity is not None
    assert told.complexity.order in orders
    assert told.complexity.best in orders | ({"n³"} if function is triples else set())
