"""What the repository's files may say, and how long they may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

MAX_ARCHITECTURE_LINES = 140

# Assembled, so that this file does not hold what it looks for.
REGISTRY = re.compile(
    "|".join(["pypi" + r"\.org", "python" + "hosted", "index" + "-url", "artifact" + "ory"]), re.IGNORECASE
)
MACHINE_PATH = re.compile(
    r"(?<![\w.$}/-])/(?:" + "|".join(["ro" + "ot", "wo" + "rk", r"(?:home|Users)/(?!me/)\w+"]) + r")/\w"
)


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def found(pattern: re.Pattern[str], tracked: Sequence[Path], root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{number} {line.strip()[:100]}"
        for path in tracked
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry(tracked: Sequence[Path], root: Path) -> None:
    assert found(REGISTRY, tracked, root) == []


def test_no_file_holds_a_path_of_somebodys_machine(tracked: Sequence[Path], root: Path) -> None:
    assert found(MACHINE_PATH, tracked, root) == []


def test_no_source_promises_something_for_later(tracked: Sequence[Path], root: Path) -> None:
    promise = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
    sources = [path for path in tracked if path.suffix in {".py", ".md", ".toml", ".yaml"}]
    assert found(promise, sources, root) == []


def test_an_ignored_finding_says_which_and_why(sources: Sequence[Path], root: Path) -> None:
    bare = re.compile(r"#\s*(noqa|type: ignore|pyright: ignore)(?!:? ?[\[:])|# noqa: (?!SLF001$)[A-Z0-9, ]+$")
    assert found(bare, sources, root) == []


def test_the_architecture_is_told_on_a_few_pages(root: Path) -> None:
    assert len((root / "ARCHITECTURE.md").read_text().splitlines()) <= MAX_ARCHITECTURE_LINES


def test_the_architecture_names_every_package_and_nothing_that_is_not_there(root: Path) -> None:
    text = (root / "ARCHITECTURE.md").read_text()
    packages = [path.parent.name for path in (root / "src/tickspan").glob("*/__init__.py")]
    assert [name for name in packages if not re.search(rf"\b{name}\b", text)] == []


def test_every_decision_is_numbered_once_and_in_the_index(root: Path) -> None:
    folder = root / "docs/decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert linked == records
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-demo.lock"])
def test_a_lock_has_a_hash_for_every_requirement_and_no_address(root: Path, lock: str) -> None:
    text = (root / lock).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert [
        line for line in requirements if not re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert re.findall(r"\w+://\S+", text) == []


def test_links_between_documents_lead_somewhere(tracked: Sequence[Path], root: Path) -> None:
    broken = [
        f"{path.relative_to(root)} -> {target}"
        for path in tracked
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
