"""`python -m tickspan_spool.agent --directory SPOOL`: the background process, as an application starts it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tickspan_spool.agent.logfile import start_logging
from tickspan_spool.agent.options import AgentOptions
from tickspan_spool.agent.service import run
from tickspan_spool.liaison import AgentPlaces


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until nobody needs it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tickspan-agent", allow_abbrev=False)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--environment")
    options = parser.parse_args(arguments)
    places = AgentPlaces.of(options.directory, options.environment)
    places.prepare()
    start_logging(places.log)
    return run(places, AgentOptions.from_environment(os.environ), os.environ)


if __name__ == "__main__":
    sys.exit(main())
