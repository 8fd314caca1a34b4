"""Every distribution is known to every tool, and says the same as the others."""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def importlinter(root: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(root / ".importlinter")
    return parser


def words(text: str) -> list[str]:
    return text.split()


def test_the_import_contracts_cover_every_package(root: Path, distributions: Sequence[Any]) -> None:
    covered = words(importlinter(root)["importlinter"]["root_packages"])
    assert sorted(covered) == sorted(one.package for one in distributions)


def test_the_import_contracts_hold_every_member_apart(root: Path, members: Sequence[Any]) -> None:
    independent = words(importlinter(root)["importlinter:contract:members"]["modules"])
    assert sorted(independent) == sorted(
        one.package for one in members if one.package != "tickspan_spool"
    )  # which is below them all


def test_coverage_measures_every_package(tools: Mapping[str, Any], distributions: Sequence[Any]) -> None:
    assert sorted(tools["coverage"]["run"]["source_pkgs"]) == sorted(one.package for one in distributions)


def test_the_workspace_resolves_every_distribution_to_itself(
    tools: Mapping[str, Any], distributions: Sequence[Any]
) -> None:
    names = {one.project["name"] for one in distributions}
    assert tools["uv"]["sources"] == {name: {"workspace": True} for name in names}


def test_all_distributions_have_one_version_license_and_python(distributions: Sequence[Any]) -> None:
    said = {
        (one.project["version"], one.project["license"], one.project["requires-python"])
        for one in distributions
    }
    assert len(said) == 1


def test_a_distribution_pins_the_others_to_its_own_version(distributions: Sequence[Any]) -> None:
    names = {one.project["name"] for one in distributions}
    version = distributions[0].project["version"]
    asked = {
        requirement
        for one in distributions
        for requirement in one.project["dependencies"]
        if requirement.partition("==")[0] in names
    }
    assert asked == {f"{requirement.partition('==')[0]}=={version}" for requirement in asked}


def test_every_package_is_typed(distributions: Sequence[Any]) -> None:
    assert [one.package for one in distributions if not (one.sources / "py.typed").is_file()] == []


def test_every_distribution_has_a_readme_that_says_something(distributions: Sequence[Any]) -> None:
    assert [one.package for one in distributions if not (one.folder / "README.md").read_text().strip()] == []


def test_entry_points_of_members_are_prefixed_and_exist(members: Sequence[Any]) -> None:
    points = [
        (name, value, one.package)
        for one in members
        for group in one.project.get("entry-points", {}).values()
        for name, value in group.items()
    ]
    assert [name for name, _, package in points if not name.startswith(package)] == []
    assert [
        value for _, value, package in points if not value.startswith((f"{package}:", f"{package}."))
    ] == []
