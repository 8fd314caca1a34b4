"""Kafka: a broker in memory that runs for one test, and how it is built."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

if __package__:
    from .go_build import Go, GoBuild
    from .servers import Server, free_port, log_tail, running
else:  # run as a part of a program
    from go_build import Go, GoBuild
    from servers import Server, free_port, log_tail, running

VERSION = "0.0.20260421"
_SOURCES: Final = Path(__file__).resolve().parent / "go"
_READY: Final = "ready "


def _copy_sources(_: Go, workspace: Path) -> Path:
    shutil.copy(_SOURCES / "kafka.mod", workspace / "go.mod")
    shutil.copy(_SOURCES / "kafka.go", workspace / "main.go")
    return workspace


KAFKA = GoBuild(_SOURCES / "kafka.go", {"kafka": "."}, ("-mod=mod", "-ldflags=-s -w"), _copy_sources)


@contextmanager
def running_kafka(
    executable: Path, topics: Sequence[str], folder: Path, *, partitions: int = 4
) -> Generator[Server]:
    """Start a broker with topics; its URL is `host:port`.

    Raises:
        ServerError: it did not become ready; with the end of its log.
    """
    port, log = free_port(), folder / "kafka.log"
    command = [
        executable,
        *("-port", str(port)),
        *("-topics", ",".join(topics)),
        *("-partitions", str(partitions)),
    ]
    with running(command, log=log, is_ready=lambda: _READY in log_tail(log)) as process:
        yield Server(f"127.0.0.1:{port}", log, process.pid)
