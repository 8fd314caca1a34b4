"""Code blocks of Markdown pages: `blocks_of(page)`. What tests and the tutorial's script read pages with."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w{}+-]*)[ \t]*$")
_NOT_RUN: Final = re.compile(r"<!-- not run: (.+?) -->$")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    """Of the fence, from 1."""
    language: str
    """In lower case; "" where the page says none."""
    text: str
    """Without the fence and without its indentation; ends with a line's end unless it is empty."""
    not_run: str = ""
    """Why nothing can run it, as the comment `<!-- not run: … -->` before it says; else ""."""

    @property
    def place(self) -> str:
        """Such as `docs/how-to/agent.md:9`, for messages."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a `console` block, without its prompt, its comment and what it printed."""

    variables: tuple[str, ...]
    """`NAME=value` before the program."""
    words: tuple[str, ...]
    printed: str
    """What stands behind it until the next prompt."""
    line: str
    """As it is written, its continuation lines joined."""


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, from top to bottom.

    Raises:
        ValueError: a fence has no end.
    """
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    number = 0
    before = ""
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            before = lines[number].strip() or before
            number += 1
            continue
        closing = f"{opening['indent']}{opening['fence']}"
        end = next((i for i in range(number + 1, len(lines)) if lines[i].rstrip() == closing), None)
        if end is None:
            raise ValueError(f"{page}:{number + 1} a block has no end")
        text = textwrap.dedent("".join(f"{line}\n" for line in lines[number + 1 : end]))
        reason = _NOT_RUN.search(before)
        yield Block(page, number + 1, opening["language"].lower(), text, reason[1] if reason else "")
        number, before = end + 1, ""


def commands_of(block: Block) -> list[Command]:
    """The commands of a block: lines with the prompt `$ ` and their continuation lines.

    In a block of `sh` or `bash` every line is a command. Comments are left out.
    """
    text = block.text.replace("\\\n", " ")
    if block.language in {"sh", "bash"}:
        return [_command(line, "") for line in text.splitlines() if line and not line.startswith("#")]
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [_command(*part.partition("\n")[::2]) for part in parts]


def _command(line: str, printed: str) -> Command:
    words = shlex.split(line.replace(";", " ; "), comments=True)
    first = next((i for i, word in enumerate(words) if not _VARIABLE.fullmatch(word)), len(words))
    return Command(tuple(words[:first]), tuple(words[first:]), printed, line.strip())
