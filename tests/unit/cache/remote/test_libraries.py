"""Libraries that are not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MISSING = """
import sys
sys.modules[{name!r}] = None
import tickspan.cache
from tickspan.cache.remote.settings import RemoteSettings
settings = RemoteSettings()
try:
    settings.with_url("redis://cache")
except ModuleNotFoundError as error:
    print(error.name, "tickspan[cache]" in str(error))
"""


@pytest.mark.parametrize("name", ["redis", "hiredis"])
def test_a_missing_library_is_told_with_how_to_get_it_when_it_is_needed(name: str):
    done = subprocess.run(
        [sys.executable, "-c", _MISSING.format(name=name)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{name} True\n", "")


def test_settings_alone_load_no_library():
    code = (
        "import sys, tickspan.cache.remote.settings; print('redis' in sys.modules, 'hiredis' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
