"""Ceilings hold for a process with few keys, whatever ran before in this one."""

import pytest

from tickspan.recording.keys import KNOWN


@pytest.fixture(autouse=True)
def _few_keys() -> None:
    """Properties over generated keys fill the table of verdicts; then each key is judged each time."""
    KNOWN.clear()
