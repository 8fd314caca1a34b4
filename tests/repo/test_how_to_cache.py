"""What the how-tos about the cache show is what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cache import Cache, CacheSettings, EvictionReason, RegionRules
from tickspan.cache.remote import replies
from tickspan.config import setting_keys
from tickspan.semconv import cache as names
from tickspan.semconv.catalogue import METRICS

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/cache.md").read_text(encoding="utf-8")


@pytest.fixture
def performance(root: Path) -> str:
    return (root / "docs/how-to/cache-performance.md").read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_example_prints_what_stands_behind_it(text: str, run_python: RunPython) -> None:
    ((example, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    ended = run_python(example)
    assert (ended.stdout, ended.stderr) == (printed, "")


def test_every_name_of_telemetry_is_there(text: str, performance: str) -> None:
    declared = {value for name, value in vars(names).items() if name.isupper()} | METRICS.keys()
    named = set(re.findall(r"`(tickspan\.cache\.[a-z_.]+)`", text + performance))
    assert named
    assert named - declared == set()


def test_every_variable_is_a_setting(text: str, performance: str) -> None:
    variables = {key.variable for key in setting_keys()}
    assert set(re.findall(r"TICKSPAN_[A-Z_]+", text + performance)) - variables == set()


def test_every_rule_and_reason_is_there(performance: str) -> None:
    rules = set(re.findall(r"`(\w+_(?:s|bytes|entries|ttl_s|refresh))`", performance))
    assert rules - set(RegionRules.__dataclass_fields__) == set()
    reasons = set(re.findall(r"reason `(\w+)`", performance))
    assert reasons - {reason.value for reason in EvictionReason} == set()


def test_every_reason_of_redis_is_there(performance: str) -> None:
    table = performance[performance.index("| reason | do |") :].split("\n\n", maxsplit=1)[0]
    words = {word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert words
    assert words - {word for _, word in replies._REASONS} == set()


def test_every_preset_and_call_is_there(text: str) -> None:
    presets = set(re.findall(r"CacheSettings\.(\w+)\(", text))
    assert presets == {"hft", "oms", "risk"}
    assert [name for name in presets if not hasattr(CacheSettings, name)] == []
    calls = set(re.findall(r"cache\.([a-z_]+)\(", text)) - {"region"}
    assert [name for name in calls if not hasattr(Cache, name)] == []
