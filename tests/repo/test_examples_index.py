"""`examples/README.md` lists all examples, and each says how it is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def test_the_index_lists_every_example_once(root: Path) -> None:
    text = (root / "examples/README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\w+\.py)\]\((\w+\.py)\) \|", text, re.MULTILINE)
    assert [shown for shown, link in listed if shown != link] == []
    assert sorted(link for _, link in listed) == sorted(
        path.name for path in (root / "examples").glob("*.py")
    )


def test_every_example_begins_with_what_it_shows_and_what_it_needs(root: Path) -> None:
    words = {
        path.name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in (root / "examples").glob("*.py")
    }
    assert [name for name, text in words.items() if len(text.splitlines()) < 3] == []
    assert [name for name, text in words.items() if not re.search(r"[Nn]eeds|Run `", text)] == []
