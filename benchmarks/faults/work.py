"""The workload's process: sets one contender up and plays one act with it."""

from __future__ import annotations

import json
import os
import sys

from . import acts, telemetry
from .outside import OutsideLedger
from .recorder import Recorder


def main(contender: str, act: str, settings: str) -> None:
    """Play; the outside ledger tells the rest."""
    ledger = OutsideLedger(os.environ["FAULTS_LEDGER"])
    stage = acts.Stage(ledger, contender, json.loads(settings))
    stage.before_set_up()
    telemetry.set_up(contender)
    stage.recorder = Recorder(ledger)
    acts.ACTS[act](stage)
    stage.recorder.settle()
    ledger.end_of_main()


if __name__ == "__main__":
    main(*sys.argv[1:])
