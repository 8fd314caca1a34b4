"""What a member says it is tested with is what its tests run with: here, and in other generations."""

from __future__ import annotations

from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

import pytest
from packaging.requirements import Requirement

from scripts.generations import GENERATIONS, Generation
from tickspan.instrumentation import Instrumentor

MEMBERS = sorted(
    (
        entry
        for entry in entry_points(group="opentelemetry_instrumentor")
        if entry.name.startswith("tickspan_")
    ),
    key=lambda entry: entry.name,
)


def ranges(entry: EntryPoint) -> dict[str, Requirement]:
    made = entry.load()()
    assert isinstance(made, Instrumentor)
    return {known.name: known for known in map(Requirement, made.tested)}


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@pytest.mark.parametrize("entry", MEMBERS, ids=lambda entry: entry.name)
def test_a_member_is_tested_with_what_is_installed(entry: EntryPoint) -> None:
    known = ranges(entry)
    found = {name: here for name in known if (here := installed(name)) is not None}
    assert found
    assert {
        name: here
        for name, here in found.items()
        if not known[name].specifier.contains(here, prereleases=True)
    } == {}


@pytest.mark.parametrize(
    "generation", [one for one in GENERATIONS if one.member], ids=lambda generation: generation.name
)
def test_a_member_is_tested_with_each_of_its_generations(generation: Generation) -> None:
    name, _, pinned = generation.requirement.split()[0].partition("==")
    (entry,) = (one for one in MEMBERS if one.name == (generation.member or "").replace("-", "_"))
    assert ranges(entry)[name].specifier.contains(pinned)
