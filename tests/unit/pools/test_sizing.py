"""The size that a load asks for, by Little's law."""

from __future__ import annotations

import pytest

from tickspan.pools.sizing import Advice, Load, advice_on, advised_size


def load(mean: float, *, lent: int = 1000, timeouts: int = 0) -> Load:
    return Load(lent, mean * 60.0, timeouts, 60.0)


@pytest.mark.parametrize(("mean", "size"), [(0.0, 1), (1.0, 4), (4.0, 10), (9.0, 18), (100.0, 130)])
def test_the_size_is_the_mean_and_three_of_its_roots(mean: float, size: int) -> None:
    assert advised_size(load(mean)) == size


def test_a_pool_that_the_load_does_not_fit_is_too_small() -> None:
    advice = advice_on(load(4.0), 5)
    assert advice == Advice(4.0, 10, 5)
    assert advice is not None
    assert advice.is_too_small


def test_a_pool_three_times_the_size_is_too_large() -> None:
    assert advice_on(load(1.0), 12) == Advice(1.0, 4, 12)
    assert advice_on(load(1.0), 11) is None


def test_requests_that_waited_in_vain_say_that_it_is_too_small_whatever_the_mean() -> None:
    assert advice_on(load(1.0, timeouts=100), 10) == Advice(1.0, 11, 10)


def test_little_traffic_and_no_limit_say_nothing() -> None:
    assert (advice_on(load(4.0, lent=29), 1), advice_on(load(4.0), None)) == (None, None)
