"""Builds the documentation without the network: `python scripts/docs.py [FOLDER]`, by default `build/docs`.

A warning is an error: a link that leads nowhere, a page in no table of contents, a docstring that is no text.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PUBLIC_MODULES: Final = (
    "tickspan",
    "tickspan.trading",
    "tickspan.cache",
    "tickspan.cache.sessions",
    "tickspan.pools",
    "tickspan.lazy",
    "tickspan.memory",
    "tickspan.profiler",
    "tickspan.logs",
    "tickspan.alerts",
    "tickspan.presets",
    "tickspan.instrumentation",
    "tickspan.testing",
    "tickspan.testing.venue",
    "tickspan_spool.agent",
    "tickspan_spool.receiver",
)
"""Modules whose `__all__` is what a user may rely on; each has a page in `docs/reference/api`."""

ENTRANCE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tickspan</title>
<meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">tickspan's documentation</a></html>
"""


def build(folder: Path) -> int:
    """Build into a folder; 0 when there was no warning."""
    from sphinx.cmd.build import main as sphinx_build

    options = ["-W", "--keep-going", "-n", "-q", "-b", "html", "-c", str(ROOT / "docs")]
    status = sphinx_build([*options, "-d", str(folder / ".doctrees"), str(ROOT), str(folder)])
    (folder / "index.html").write_text(ENTRANCE, encoding="utf-8")
    return status


def main(arguments: list[str]) -> int:
    """Build, and tell where the first page is."""
    folder = Path(arguments[0]) if arguments else ROOT / "build/docs"
    status = build(folder.resolve())
    print(folder / "index.html")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
