"""A desk beside the demo: what its programs tell is on a live page, as long as somebody looks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tickspan.demo.stage import DemoError, clean_environment, running

MISSING: Final = "--desk needs more than is installed: pip install 'tickspan[demo,desk]'"


@dataclass(frozen=True, slots=True)
class DemoDesk:
    """A desk that is there.

    Attributes:
        page: its URL, with the token.
        otlp: where it takes telemetry.
    """

    page: str
    otlp: str
    process: subprocess.Popen[str]

    def stay(self) -> None:
        """Until Ctrl-C, or until somebody else ends it."""
        with contextlib.suppress(KeyboardInterrupt):
            self.process.wait()


@contextmanager
def desk_beside() -> Generator[DemoDesk]:
    """A desk that keeps nothing beyond its end, with a spool of its own. Raises `DemoError`."""
    if find_spec("tickspan_desk") is None:
        raise DemoError(MISSING)
    with tempfile.TemporaryDirectory(prefix="tickspan-demo-desk-") as folder:
        settings = {"TICKSPAN_SPOOL_DIR": str(Path(folder) / "spool"), "TICKSPAN_AGENT": "off"}
        words = [sys.executable, "-m", "tickspan", "desk", "--json", "--memory"]
        with running(words, clean_environment(settings), is_read=True) as program:
            line = program.first_line()
            if not line:
                raise DemoError(f"the desk did not start: {program.last_words()}")
            told: dict[str, Any] = json.loads(line)
            yield DemoDesk(told["page"], told["otlp"], program.process)
