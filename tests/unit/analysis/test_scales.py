"""Numbers as people read them."""

import pytest

from tickspan.analysis.scales import shown


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.02, "s", "20 ms"),
        (1.5, "s", "1.5 s"),
        (100, "s", "100 s"),
        (7_200, "s", "2 h"),
        (0.0000123, "s", "12.3 µs"),
        (5e-9, "s", "5 ns"),
        (0, "s", "0 s"),
        (2_000_000, "ns", "2 ms"),
        (1_572_864, "By", "1.5 MiB"),
        (-2048, "By", "-2 KiB"),
        (12, "By", "12 B"),
        (0.853, "1", "85.3 %"),
        (3, "{trade}", "3"),
        (12_345.6, "", "12,346"),
        (12.5, "USD", "12.5 USD"),
        (float("nan"), "s", "-"),
    ],
)
def test_a_number_is_told_in_a_unit_of_its_size(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
