"""Writes the dashboards: `python -m scripts.dashboards`; `--check` only says which of them are stale."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.dashboards.board import document
from scripts.dashboards.boards import BOARDS

FOLDER: Final = Path(__file__).resolve().parents[2] / "collector-config" / "dashboards"


def written() -> Mapping[Path, str]:
    """What each file is to say."""
    return {
        FOLDER / f"{board.name}.json": json.dumps(document(board), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }


def main() -> int:
    """Write them, or with `--check` return 1 when one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    texts = written()
    stale = [
        path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if options.check:
        for path in stale:
            print(f"stale: {path.name}; run 'make dashboards'", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
    print(f"{len(texts)} dashboards, {len(stale)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
