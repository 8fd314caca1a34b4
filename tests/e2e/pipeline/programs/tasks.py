"""A pre-forking worker of celery with its broker in memory: `python tasks.py NUMBER` does so many tasks."""

import sys
import threading
from typing import Any

import witness
from celery import Celery

application: Any = Celery("tasks", broker="memory://")
application.conf.task_ignore_result = True
application.conf.worker_hijack_root_logger = False


@application.task(name="tasks.record")
def record(number: int) -> None:
    """So many records of each signal."""
    witness.everything(number)


def _send() -> None:
    for _ in range(int(sys.argv[1])):
        application.send_task("tasks.record", (5,))


if __name__ == "__main__":
    witness.start("tasks")
    witness.everything(1)
    threading.Thread(target=_send).start()
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "CRITICAL"]
    application.start(["--quiet", "worker", "--pool", "prefork", "--concurrency", "2", *quiet])
