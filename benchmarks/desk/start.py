"""Start: from `tickspan desk` until its first page answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from statistics import median
from typing import Final

from benchmarks.desk.scale import Place
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import ChildError

_WANTED_S: Final = 1.0
_PATIENCE_S: Final = 60.0


def started(place: Place, progress: Progress) -> Section:
    """Start the desk some times, each on an empty store."""
    found: list[float] = []
    for number in range(place.scale.starts):
        progress(f"start {number + 1} of {place.scale.starts}")
        found.append(_start(place, number))
    worst = max(found)
    return Section(
        "start",
        (
            Table(
                "Cold start, seconds",
                ("command", "p50", "worst"),
                (("tickspan desk, until /traces answers", f"{median(found):.2f}", f"{worst:.2f}"),),
            ),
        ),
        (
            Target(
                "the first page, worst", "desk", f"≤ {_WANTED_S:g} s", f"{worst:.2f} s", worst <= _WANTED_S
            ),
        ),
        (),
        {"starts_s": found},
    )


def _start(place: Place, number: int) -> float:
    words = [sys.executable, "-m", "tickspan", "desk", "--memory", "--json", "--no-open"]
    ports = ["--port", str(_free_port()), "--otlp-port", str(_free_port())]
    begun = time.monotonic()
    desk = subprocess.Popen(
        [*words, *ports, "--spool", str(place.folder / f"spool-{number}")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert desk.stdout is not None
        line = desk.stdout.readline()
        if not line:
            raise ChildError(f"the desk did not start: exit status {desk.wait(_PATIENCE_S)}")
        told = json.loads(line)
        _ask(f"{told['page'].partition('#')[0]}traces", told["token"])
        return time.monotonic() - begun
    finally:
        desk.terminate()
        desk.communicate(timeout=_PATIENCE_S)


def _ask(url: str, token: str) -> None:
    """Ask for a page until somebody listens. Raises ChildError when it is refused or never comes."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - http on loopback
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with opener.open(asked, timeout=_PATIENCE_S) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            raise ChildError(f"{url}: {error}") from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise ChildError(f"{url}: {error}") from error
            time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
