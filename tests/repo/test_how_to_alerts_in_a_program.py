"""What the how-to about rules in a program shows is what happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess


def test_the_example_prints_what_stands_behind_it(
    root: Path, run_python: Callable[..., CompletedProcess[str]]
) -> None:
    text = (root / "docs/how-to/alerts-in-a-program.md").read_text(encoding="utf-8")
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    done = run_python(code)
    assert (done.stdout, done.stderr) == (printed, "")
