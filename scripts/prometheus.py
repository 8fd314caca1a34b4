"""Prometheus: a server that runs for one test and takes metrics by OTLP, remote write or scraping."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .servers import Server, free_port, running

_POLL_S = 0.1
_HTTP_OK = 200
_REQUEST_TIMEOUT_S = 10.0
_RECEIVERS = ("--web.enable-otlp-receiver", "--web.enable-remote-write-receiver", "--web.enable-lifecycle")

Series: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus.

    Attributes:
        server: its log, pid and URL.
    """

    server: Server

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    @property
    def otlp_endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`; it takes metrics only."""
        return f"{self.server.url}/api/v1/otlp"

    def query(self, expression: str) -> Series:
        """The series of an instant query: each with its labels, `metric`, and `value`, a time and a text."""
        return self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")["result"]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or firing."""
        return self._get("/api/v1/alerts")["alerts"]

    def wait_for(
        self,
        expression: str,
        predicate: Callable[[list[dict[str, Any]]], bool] = bool,
        timeout_s: float = 20.0,
    ) -> list[dict[str, Any]]:
        """The answer to an instant query as soon as the predicate holds of it; by default, any series.

        Raises:
            TimeoutError: with the last answer, and the end of the server's log.
        """
        deadline = time.monotonic() + timeout_s
        while not predicate(series := self.query(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"after {timeout_s:g} s {expression} gives {series}\n{self.server.log_tail()}"
                )
            time.sleep(_POLL_S)
        return series

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.server.url + path, timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310 - loopback
            return json.load(answer)["data"]


@contextmanager
def running_prometheus(
    executable: Path, configuration: Path, folder: Path, flags: Sequence[str] = ()
) -> Generator[Prometheus]:
    """Start a Prometheus and wait until it is ready.

    Args:
        executable: the server.
        configuration: its file; paths in it are relative to the file.
        folder: for its log and data; a second start with it goes on where the first ended.
        flags: further ones.

    Raises:
        ServerError: it did not become ready; with the end of its log.
    """
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        executable,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        *_RECEIVERS,
        *flags,
    ]
    log = folder / "prometheus.log"
    with running(command, log=log, is_ready=lambda: says_ready(url)) as process:
        yield Prometheus(Server(url, log, process.pid))


def says_ready(url: str) -> bool:
    """Whether a server of Prometheus's family answers `/-/ready`."""
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310 - loopback
            return answer.status == _HTTP_OK
    except OSError:
        return False
