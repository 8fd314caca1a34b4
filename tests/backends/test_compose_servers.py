"""Configurations of the other servers of the compose file, read by the servers' own programs."""

import subprocess
from pathlib import Path

import pytest

from scripts.collector import CONFIGURATIONS

pytestmark = pytest.mark.backends


def _answer(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_prometheus_finds_its_configuration_valid(promtool: Path):
    status, said = _answer(promtool, "check", "config", CONFIGURATIONS / "prometheus" / "prometheus.yml")
    assert (status, "SUCCESS" in said, "WARNING" in said) == (0, True, False)


def test_alertmanager_finds_its_configuration_valid(alertmanager: Path):
    amtool = alertmanager.with_name("amtool")
    status, said = _answer(amtool, "check-config", CONFIGURATIONS / "alertmanager" / "alertmanager.yml")
    assert (status, "1 inhibit rules" in said, "1 receivers" in said) == (0, True, True)
