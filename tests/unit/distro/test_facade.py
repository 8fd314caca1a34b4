"""`import tickspan`: light, and every public name where it says it is."""

import subprocess
from collections.abc import Callable

import pytest

import tickspan

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def test_the_facade_offers_exactly_its_public_names():
    assert dir(tickspan) == sorted(tickspan.__all__)
    assert [name for name in tickspan.__all__ if getattr(tickspan, name, None) is None] == []


def test_every_lazy_name_is_public():
    assert sorted([*tickspan._HOMES, "__version__"]) == sorted(tickspan.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tickspan' has no attribute 'innit'"):
        tickspan.innit  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnusedExpression] - the point


@pytest.mark.integration
def test_importing_tickspan_loads_neither_opentelemetry_nor_any_part_of_ours(run_python: RunPython):
    program = (
        "import sys; before = set(sys.modules); import tickspan\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(name for name in new if name.startswith(('opentelemetry', 'tickspan'))))"
    )
    assert run_python(program).stdout == "['tickspan', 'tickspan.version']\n"
