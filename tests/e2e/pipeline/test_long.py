"""Short forms of the long runs: an outage, and a burst. `make soak` runs them at full length."""

import subprocess

import pytest

pytestmark = pytest.mark.e2e


def test_an_outage_of_twenty_seconds_loses_nothing_and_memory_stays_flat(outage: subprocess.Popen[str]):
    said, complained = outage.communicate(timeout=150)
    assert (outage.returncode, said.splitlines()[-1:], complained) == (0, ["passed"], ""), said


def test_a_burst_of_a_hundred_thousand_loses_nothing_and_memory_stays_flat(burst: subprocess.Popen[str]):
    said, complained = burst.communicate(timeout=150)
    assert (burst.returncode, said.splitlines()[-1:], complained) == (0, ["passed"], ""), said
