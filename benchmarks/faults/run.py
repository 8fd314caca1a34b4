"""What becomes of telemetry on bad days: stock OpenTelemetry and tickspan over the same faults, one table.

Each case runs a workload in a process of its own, for each contender, against a network, a disk, a clock or
user code that fails on schedule. Every record that ended stands in a file outside telemetry; everything that
arrived is decoded and compared with it. Exit status 1: a case of ours has failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults.command import main

if __name__ == "__main__":
    sys.exit(main(__doc__ or ""))
