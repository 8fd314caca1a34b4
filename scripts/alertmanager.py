"""Alertmanager: a server that runs for one test, alone."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .prometheus import says_ready
from .servers import Server, free_port, running

_POLL_S = 0.05
_REQUEST_TIMEOUT_S = 10.0
_DISCARD = """
route: {receiver: none, group_by: [alertname], group_wait: 0s, group_interval: 1s}
receivers: [{name: none}]
"""

Alerts: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager.

    Attributes:
        server: its log, pid and URL.
        amtool: its command-line client.
    """

    server: Server
    amtool: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    def alerts(self) -> Alerts:
        """Alerts that have not ended, silenced ones included, as `GET /api/v2/alerts` tells them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def wait_for(self, predicate: Callable[[Alerts], bool], timeout_s: float = 20.0) -> Alerts:
        """Its alerts as soon as the predicate holds of them.

        Raises:
            TimeoutError: with the last answer, and the end of the server's log.
        """
        deadline = time.monotonic() + timeout_s
        while not predicate(alerts := self.alerts()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout_s:g} s it has {alerts}\n{self.server.log_tail()}")
            time.sleep(_POLL_S)
        return alerts


@contextmanager
def running_alertmanager(
    executable: Path, folder: Path, configuration: Path | None = None, flags: Sequence[str] = ()
) -> Generator[Alertmanager]:
    """Start an Alertmanager and wait until it is ready.

    Args:
        executable: the server; `amtool` is beside it.
        folder: for its log and data; a second start with it goes on where the first ended.
        configuration: its file; without one it keeps alerts and notifies nobody.
        flags: further ones.

    Raises:
        ServerError: it did not become ready; with the end of its log.
    """
    if configuration is None:
        configuration = folder / "alertmanager.yaml"
        configuration.write_text(_DISCARD)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        executable,
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
        *flags,
    ]
    log = folder / "alertmanager.log"
    with running(command, log=log, is_ready=lambda: says_ready(url)) as process:
        yield Alertmanager(Server(url, log, process.pid), executable.with_name("amtool"))
