"""What the page `from-the-mission` shows is what happens: its blocks run, its names and tests are there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tickspan.alerts.file import read_rules
from tickspan.analysis.rules.model import Rule
from tickspan.analysis.rules.units import quantity
from tickspan.config import setting_keys

sys.path.insert(
    0, str(Path(__file__).parent)
)  # importlib mode adds nothing; the same file is run as a program

import mission_rows
from mission_rows import Block

BLOCKS = mission_rows.blocks()
WITH_REDIS = ("Start", "Redis")
WITH_AGENT = "Logging"
ALONE = "Presets"
"""The section whose rows exclude one another: each is a program of its own."""
PARTS = [
    *((section, "") for section in dict.fromkeys(block.section for block in BLOCKS) if section != ALONE),
    *((block.section, block.heading) for block in BLOCKS if block.section == ALONE),
]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/reference/from-the-mission.md").read_text(encoding="utf-8")


@pytest.fixture
def environment(
    clean_environment: Mapping[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> dict[str, str]:
    section, _ = request.getfixturevalue("part")
    variables = {
        **clean_environment,
        "TICKSPAN_SPOOL_DIR": str(tmp_path / "spool"),
        "TICKSPAN_AGENT": "auto" if section == WITH_AGENT else "off",
    }
    if section == WITH_AGENT:
        variables["TICKSPAN_LOGS_DIRECTORY"] = str(tmp_path / "logs")
    if section in WITH_REDIS:
        url = request.getfixturevalue("redis_server")
        variables["MISSION_REDIS_PORT"] = str(urlsplit(url).port)
    return variables


@pytest.mark.integration
@pytest.mark.parametrize("part", PARTS, ids=lambda part: " ".join(part).strip())
def test_the_blocks_do_what_the_page_says(
    part: tuple[str, str], environment: Mapping[str, str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, mission_rows.__file__, *filter(None, part)],
        env=dict(environment),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_every_row_of_the_page_is_looked_at_and_no_other() -> None:
    assert [block.heading for block in BLOCKS] == list(mission_rows.ROWS)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.heading)
def test_ours_is_no_longer_than_what_was_asked_for(block: Block) -> None:
    asked, ours = (len(text.strip().splitlines()) for text in (block.asked, block.ours))
    assert ours <= asked


def test_every_row_names_a_test_that_is_there(root: Path, text: str) -> None:
    rows = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert [row.partition("\n")[0] for row in rows if "Tested by" not in row] == []
    named = re.findall(r"`((?:tests|instrumentors)/[\w/-]+\.py)(?:::(\w+))?`", text)
    assert len(named) > len(BLOCKS)
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (root / file).read_text("utf-8") and test
    ]
    assert missing == []


def test_every_setting_that_it_names_is_there_and_has_a_test(text: str) -> None:
    section = text[text.index("## Settings") : text.index("## Alert rules")]
    rows = [row.split(" | ") for row in section.splitlines() if row.startswith("| ")][1:]
    known = {key.name for key in setting_keys()}
    named = {key for row in rows for key in re.findall(r"`([a-z]+\.[a-z_]+|service_name)`", row[1])}
    assert named - known == set()
    assert len(named) > 20
    assert [row[0] for row in rows if "::test_" not in row[2]] == []


def test_the_rules_are_those_of_the_default_pack(text: str) -> None:
    section = text[text.index("## Alert rules") : text.index("## Requests that come in")]
    told = re.findall(r"^\|.*\| `(\w+)` \| (\d+) (%|ms) \| (\w+) \|$", section, re.MULTILINE)
    rules = {rule.name: rule for rule in read_rules("default")[0].rules}
    assert len(told) == 5
    assert [
        (name, _threshold(rules[name]), rules[name].severity.name.lower(), rules[name].condition.value)
        for name, *_ in told
    ] == [
        (name, quantity(f"{number}{unit}", rules[name].unit), severity, "gt")
        for name, number, unit, severity in told
    ]


def _threshold(rule: Rule) -> float:
    return rule.threshold


def test_every_link_leads_somewhere(root: Path, text: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [link for link in links if not (root / "docs/reference" / link).exists()]
    assert missing == []


def test_the_driver_takes_the_page_of_this_tree(root: Path) -> None:
    assert mission_rows.PAGE.samefile(root / "docs/reference/from-the-mission.md")
