"""`tickspan demo --desk`: the demo's orders on a live page, until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from importlib.machinery import ModuleSpec

import pytest

from tickspan.demo import DemoError
from tickspan.demo import desk as demo_desk

from .conftest import PATIENCE_S


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    def nowhere(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(demo_desk, "find_spec", nowhere)
    with pytest.raises(DemoError, match=r"pip install 'tickspan\[demo,desk\]'"), demo_desk.desk_beside():
        pass


@pytest.mark.e2e
def test_the_demos_orders_are_on_the_page_until_it_is_interrupted():
    with subprocess.Popen(
        [sys.executable, "-m", "tickspan", "demo", "--seconds", "1", "--no-faults", "--desk"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "300"},
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            last = next(line for line in lines if line.startswith("Everything is on "))
            page, _, token = last.split()[3].partition("#")
            headers = {"authorization": f"Bearer {token}"}
            request = urllib.request.Request(f"{page}api/orders?range=3600", headers=headers)
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                told = json.load(answer)
            os.killpg(process.pid, signal.SIGINT)
            status = process.wait(PATIENCE_S)
        finally:
            process.kill()
    assert (status, "BTC/USDT" in json.dumps(told)) == (0, True)
