"""Fixtures for everything that several threads use."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest


@pytest.fixture
def switching_often() -> Generator[None]:
    """Threads take turns far more often than by default, so that a race shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
