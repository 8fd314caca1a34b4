"""Which of the two libraries has to be there."""

from __future__ import annotations

import pytest
from tickspan_alpaca import AlpacaInstrumentor, instrumentor


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({"alpaca-py"}, "alpaca-py >= 0.30"),
        ({"alpaca-trade-api"}, "alpaca-trade-api >= 3.0"),
        ({"alpaca-py", "alpaca-trade-api"}, "alpaca-py >= 0.30"),
        (set[str](), "alpaca-py >= 0.30"),
    ],
)
def test_either_library_is_enough(monkeypatch: pytest.MonkeyPatch, there: set[str], wanted: str) -> None:
    monkeypatch.setattr(instrumentor, "is_installed", there.__contains__)
    assert AlpacaInstrumentor().instrumentation_dependencies() in ((wanted,), [wanted])


def test_what_is_installed_is_looked_up() -> None:
    assert instrumentor.is_installed("pytest")
    assert not instrumentor.is_installed("no-such-distribution-of-alpacas")
