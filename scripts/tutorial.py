"""Follows the tutorial to the letter, in a fresh clone and environment: `python scripts/tutorial.py`.

Files are saved as the page shows them, commands are typed into shells, and what they print is compared with
what the page prints. It tells how long each step took, and ends at the first line that differs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.blocks import Block, blocks_of, commands_of  # noqa: E402 - the line above finds it

PAGE: Final = ROOT / "docs/tutorial/README.md"
DEADLINE_S: Final = 600.0
"""For one command: the longest makes an environment."""

_MARK: Final = "tickspan-tutorial-status"
_NOISE: Final = re.compile(
    r"(?P<any>…)|(?P<bar>[█▌▐]+)|(?P<id>\b[0-9a-f]{16,}\b)|(?P<number>\d[\d.,]*(?: (?:us|µs|ms|s)\b)?)"
)
_PATTERNS: Final = {
    "any": r".*",
    "bar": r"[█▌▐]+",
    "id": r"[0-9a-f]+",
    "number": r"\d[\d.,]*(?: ?(?:us|µs|ms|s|min)\b)?",
}


class TutorialError(Exception):
    """Something is not as the page says."""


@dataclass(frozen=True, slots=True)
class Step:
    """What stands below one heading."""

    title: str
    blocks: tuple[Block, ...]
    terminals: Mapping[int, str]
    """By the line of a block: in which other terminal it is typed, or printed."""


def steps(page: Path = PAGE) -> list[Step]:
    """The numbered headings of the page, with their blocks."""
    lines = page.read_text(encoding="utf-8").splitlines()
    headings = [(number, line[3:]) for number, line in enumerate(lines, 1) if re.match(r"## \d", line)]
    ends = [number for number, _ in headings[1:]] + [len(lines) + 1]
    blocks = blocks_of(page)
    terminals = {
        number + 1: found[1]
        for number, line in enumerate(lines, 1)
        if (found := re.match(r"<!-- (?:in )?terminal: (\w+) -->$", line))
    }
    return [
        Step(title, tuple(block for block in blocks if start < block.line < end), terminals)
        for (start, title), end in zip(headings, ends, strict=True)
    ]


def pattern(line: str) -> re.Pattern[str]:
    """What a line of a page stands for: numbers, times, ids and bars differ each time, `…` is anything."""
    parts: list[str] = []
    end = 0
    for found in _NOISE.finditer(line):
        parts += [re.escape(line[end : found.start()]), _PATTERNS[str(found.lastgroup)]]
        end = found.end()
    text = "".join([*parts, re.escape(line[end:])])
    return re.compile(re.sub(r"(?:\\ )+", r"\\s*", text).strip())


def missing(shown: str, printed: str) -> str | None:
    """The first line of a page that a program has not printed, in this order; None if all are there."""
    lines = iter(printed.splitlines())
    for line in shown.splitlines():
        wanted = pattern(line)
        if line.strip() not in {"", "…"} and not any(wanted.search(one) for one in lines):
            return line
    return None


class Terminal:
    """A shell that commands are typed into; what it prints is kept in a file."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], outputs: Path) -> None:
        self.output = outputs / f"{name}.txt"
        self._file = self.output.open("wb")
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ctrl-C for whatever runs, then the end of the shell."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._shell.poll() is None:
                os.killpg(self._shell.pid, number)
                try:
                    self._shell.wait(5)
                except subprocess.TimeoutExpired:
                    continue
        self._file.close()

    def type(self, command: str) -> None:
        """Type a line."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{command}\n".encode())
        self._shell.stdin.flush()

    def printed(self, since: int = 0) -> str:
        """What has been printed, from a place in the file on."""
        return self.output.read_bytes()[since:].decode(errors="replace")

    def run(self, command: str) -> str:
        """Type a line, wait for its end, and give what was printed meanwhile.

        Raises:
            TutorialError: it does not end.
        """
        start = len(self.output.read_bytes())
        self.type(
            f"{command}\nprintf '\\n{_MARK}\\n'"
            if not command.endswith("&")
            else f"{command} printf '\\n{_MARK}\\n'"
        )
        self.wait_for(_MARK, start, command)
        return self.printed(start).partition(f"\n{_MARK}")[0]

    def wait_for(self, shown: str, since: int, command: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the shown lines are printed.

        Raises:
            TutorialError: they are not, in time.
        """
        end = time.monotonic() + deadline_s
        while (line := missing(shown, self.printed(since))) is not None:
            if time.monotonic() > end or self._shell.poll() is not None:
                raise TutorialError(f"$ {command}\nexpected: {line}\nprinted:\n{self.printed(since)}")
            time.sleep(0.05)


@dataclass(slots=True)
class Reader:
    """Somebody who does what the page says."""

    folder: Path
    environment: Mapping[str, str]
    instead: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other commands for some, and other texts for parts of all: the test saves time by them."""
    shown_s: float = 60.0
    """How long other terminals may take."""
    _terminals: dict[str, Terminal] = field(default_factory=dict[str, Terminal])
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all terminals."""
        self._stack.close()

    def follow(self, page: Path = PAGE) -> Iterator[tuple[str, float]]:
        """Do step by step; yields the title of each and the seconds that it took.

        Raises:
            TutorialError: something is not as the page says.
        """
        for step in steps(page):
            start = time.monotonic()
            for block in step.blocks:
                self._do(block, step.terminals.get(block.line, ""))
            yield step.title, time.monotonic() - start

    def _do(self, block: Block, terminal: str) -> None:
        text = self._said(block.text)
        name = re.match(r"# (\w+\.\w+)\n", text)
        if block.language == "console":
            self._type(block, terminal)
        elif name is not None:
            main = self._terminal("")
            (Path(main.run("pwd").strip()) / name[1]).write_text(text, encoding="utf-8")
        elif terminal:
            self._terminal(terminal).wait_for(text, 0, terminal, self.shown_s)

    def _type(self, block: Block, terminal: str) -> None:
        shell = self._terminal(terminal)
        *before, last = commands_of(block)
        for command in before if terminal else (*before, last):
            printed = shell.run(self._said(command.line))
            line = missing(command.printed, printed)
            if line is not None:
                raise TutorialError(f"{block.place} $ {command.line}\nexpected: {line}\nprinted:\n{printed}")
        if terminal:
            since = len(shell.output.read_bytes())
            shell.type(self._said(last.line))
            shell.wait_for(last.printed, since, last.line, self.shown_s)

    def _said(self, text: str) -> str:
        for old, new in self.instead.items():
            text = text.replace(old, new)
        return text

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            made = Terminal(name or "first", self.folder, self.environment, self.folder)
            self._terminals[name] = self._stack.enter_context(made)
        return self._terminals[name]


def main() -> int:
    """Follow the page in a fresh clone; 1 when something is not as it says."""
    with tempfile.TemporaryDirectory(prefix="tickspan-tutorial-") as name:
        folder = Path(name)
        (folder / "state").mkdir()  # a state directory that is not there is not used
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TICKSPAN_", "OTEL_"))}
        environment = {**kept, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        start = time.monotonic()
        try:
            with Reader(folder, environment, {"git clone …": f"git clone --quiet {ROOT}"}) as reader:
                for title, seconds in reader.follow():
                    print(f"{seconds:7.1f} s  {title}", flush=True)
        except TutorialError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{time.monotonic() - start:7.1f} s  all of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
