"""Servers that fork their workers: gunicorn and celery."""

import http.client
import importlib.util
import signal
import socket
import sys
from pathlib import Path

import pytest
from pipeline_stage import PROGRAMS, Audit, Stage, wait_until

pytestmark = pytest.mark.e2e

QUIET = (0, "", "")


class _Local(http.client.HTTPConnection):
    """HTTP over a socket in the file system: no port to look for."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self._path)


def _ask(path: Path, target: str = "/") -> int:
    """The worker that answered; 0 when it died instead."""
    connection = _Local(path)
    try:
        connection.request("GET", target)
        return int(connection.getresponse().read())
    except (http.client.HTTPException, OSError):
        return 0
    finally:
        connection.close()


@pytest.mark.skipif(not importlib.util.find_spec("gunicorn"), reason="gunicorn is not installed")
@pytest.mark.parametrize("preload", [["--preload"], []], ids=["preload", "no preload"])
def test_workers_of_gunicorn_record_through_recycling_and_a_kill(stage: Stage, preload: list[str]):
    bound = stage.folder / "socket"
    command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--worker-class", "sync", *preload]
    command += ["--max-requests", "5", "--bind", f"unix:{bound}", "--log-level", "critical"]
    with stage.running_command(*command, "--chdir", str(PROGRAMS), "web:application") as server:
        wait_until(lambda: _ask(bound) > 0, "a worker that answers")
        answered = [_ask(bound) for _ in range(20)]
        killed = _ask(bound, "/die")
        answered += [_ask(bound) for _ in range(5)]
        server.send_signal(signal.SIGTERM)
        printed = server.communicate(timeout=20)
    assert (server.returncode, *printed) == QUIET
    assert (killed, answered.count(0)) == (0, 0)
    assert stage.audit() == Audit(spans=27, logs=27)
    workers = {fact["pid"] for fact in stage.notes("traces")}
    assert len(workers) >= 5
    assert len({str(span.resource["service.instance.id"]) for span in stage.spans()}) == len(workers)
    assert 22 <= sum(stage.counted().values()) <= 26  # what the killed one had counted is lost


@pytest.mark.skipif(not importlib.util.find_spec("celery"), reason="celery is not installed")
def test_pre_forked_workers_of_celery_record(stage: Stage):
    tasks = 8
    with stage.running("tasks", str(tasks)) as worker:
        stage.await_notes("logs", 1 + 5 * tasks)
        worker.send_signal(signal.SIGTERM)
        printed = "".join(worker.communicate(timeout=20))
    assert (worker.returncode, "tickspan" in printed.lower()) == (0, False)
    assert stage.audit() == Audit(spans=41, logs=41)
    processes = {fact["pid"] for fact in stage.notes("traces")}
    assert len({str(span.resource["service.instance.id"]) for span in stage.spans()}) == len(processes)
    assert sum(stage.counted().values()) == 41
