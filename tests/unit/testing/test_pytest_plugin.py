"""The pytest plugin: a fixture, and strict mode where the setting asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
from tickspan.recording import is_strict

def test_strictness():
    print("strict", is_strict())

def test_telemetry(telemetry):
    telemetry.tracer_provider.get_tracer("test").start_span("name").end()
    print("strict", is_strict(), telemetry.tree())
"""


@pytest.mark.integration
@pytest.mark.parametrize(("setting", "expected"), [("", False), ("tickspan_strict = true", True)])
def test_strict_mode_is_as_the_setting_says(tmp_path: Path, setting: str, expected: bool) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{setting}\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    said = [line.lstrip(".") for line in done.stdout.splitlines() if "strict" in line]
    assert said == [f"strict {expected}", f"strict {expected} name"], done.stdout + done.stderr


def test_other_test_suites_load_no_opentelemetry_for_the_plugin() -> None:
    program = "import sys, tickspan.pytest_plugin; print([m for m in sys.modules if 'opentelemetry' in m])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
