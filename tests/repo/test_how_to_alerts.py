"""What the how-to about alert rules shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tickspan.alerts.file import read_rules
from tickspan.cli import main


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/alerts.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _files(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the how-to lie in the working directory."""
    for name, content in re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(f"# {name}\n{content}")
    for number, content in enumerate(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)):
        (tmp_path / f"{number}.toml").write_text(content)
    monkeypatch.chdir(tmp_path)


def test_every_example_prints_what_stands_behind_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    printed: list[str] = []
    for code, _ in examples:
        exec(compile(code, "alerts.md", "exec"), {})
        printed.append(capsys.readouterr().out)
    assert len(examples) == 2
    assert printed == [told for _, told in examples]


def test_the_toml_file_has_no_problem() -> None:
    rules, problems = read_rules("0.toml")
    assert problems == ()
    assert rules.rules[-1].name == "SlowAcks"


def test_every_command_prints_what_stands_behind_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    sessions = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    shown = [part for session in sessions for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]
    printed: list[str] = []
    for part in shown:
        line = part.partition("\n")[0]
        status = main(line.split()[1:])
        told = capsys.readouterr()
        printed.append(f"{line}\n{told.out}{told.err}")
        assert status == int("problem" in told.out + told.err)
    assert len(shown) == 2
    assert printed == shown
