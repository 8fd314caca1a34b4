"""Names that OpenTelemetry has are spelt as OpenTelemetry spells them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tickspan.semconv import common, db

NOT_UPSTREAM = {
    "EXCEPTION_EVENT",  # an event's name; upstream has attributes and metrics only
    "EVENT_QUERY_PLAN",  # an event that is proposed: its attributes are not in the conventions yet
    "TELEMETRY_AUTO_VERSION",  # withdrawn from the conventions, still set by upstream's launcher
}
"""Besides names that start with `TICKSPAN_`."""


def upstream_modules() -> Iterator[ModuleType]:
    for name in ("attributes", "metrics", "_incubating.attributes", "_incubating.metrics"):
        package = importlib.import_module(f"opentelemetry.semconv.{name}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


@pytest.fixture(scope="module")
def upstream() -> dict[str, set[Any]]:
    """Upstream's constants by name; several modules may have one of the same name."""
    values: dict[str, set[Any]] = {}
    for module in upstream_modules():
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str):
                values.setdefault(name, set()).add(value)
    return values


@pytest.mark.parametrize("module", [common, db])
def test_our_constants_have_upstreams_values(module: ModuleType, upstream: dict[str, set[Any]]) -> None:
    ours = {name: value for name, value in vars(module).items() if name.isupper()}
    named = {name for name in ours if not name.startswith("TICKSPAN_")} - NOT_UPSTREAM
    assert {name: ours[name] for name in named if ours[name] not in upstream.get(name, ())} == {}


def test_a_name_that_is_said_not_to_be_upstreams_is_not(upstream: dict[str, set[Any]]) -> None:
    assert NOT_UPSTREAM & upstream.keys() == set()
