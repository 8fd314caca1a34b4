"""A celery application whose only task records."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from .forks import new_stage

_folder = Path(os.environ["FAULTS_LEDGER"]).parent / "queue"
_folder.mkdir(exist_ok=True)
_celery: Any = importlib.import_module("celery")
app: Any = _celery.Celery("faults", broker="filesystem://")
app.conf.broker_transport_options = {name: str(_folder) for name in ("data_folder_in", "data_folder_out")}
_stage = new_stage()


@app.task
def record(count: int) -> None:
    """Record some of each signal."""
    _stage.recorder.several(count)
    _stage.recorder.settle()
