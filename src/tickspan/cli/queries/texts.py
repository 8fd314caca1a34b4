"""Rules over statements, asked about texts: a file of SQL, or what a server has counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickspan.analysis.findings import Finding
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.parsed import Parsed, Problem, Reason, parse, problem_at, token_offsets
from tickspan.analysis.sql.rules import Checker, Context
from tickspan.analysis.sql.tokens import SEMICOLON
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.shown import FoundItem

__all__ = ["Piece", "items_in", "items_of", "statements_in", "statements_of"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement of a file; its lines and columns begin at 1."""

    text: str
    line: int
    column: int

    def placed(self, problem: Problem, file: str) -> str:
        """A problem in it, by file, line and column."""
        line = self.line + problem.line - 1
        column = problem.column + (self.column - 1 if problem.line == 1 else 0)
        return f"{file}:{line}:{column}: {_said(problem)}"


def items_in(path: Path, dialect: str) -> tuple[list[FoundItem], list[str]]:
    """What the statements of a file break, and what could not be read of them. Raises `CommandError`."""
    return _checked(statements_of(path, Dialect.of(dialect)), Dialect.of(dialect), str(path))


def items_of(texts: Iterable[str], dialect: str) -> tuple[list[FoundItem], list[str]]:
    """The same for texts of no file."""
    return _checked([Piece(text, 0, 0) for text in texts], Dialect.of(dialect), "")


def statements_of(path: Path, dialect: Dialect) -> list[Piece]:
    """The statements of a file of SQL. Raises `CommandError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--from: {path}: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"--from: {path}: not UTF-8") from None
    return list(statements_in(text, dialect))


def statements_in(text: str, dialect: Dialect) -> Iterator[Piece]:
    """The statements of a text, by the dialect's own rules of quotes and comments."""
    tokens = tokenise(text, dialect)
    offsets = token_offsets(text, tokens, dialect)
    start: int | None = None
    for token, offset in zip(tokens, offsets, strict=True):
        if token[0] == SEMICOLON:
            if start is not None:
                yield _piece(text, start, offset)
            start = None
        elif start is None:
            start = offset
    if start is not None:
        yield _piece(text, start, len(text))


def _piece(text: str, start: int, end: int) -> Piece:
    at = problem_at(Reason.SYNTAX, text, start)
    return Piece(text[start:end].rstrip(), at.line, at.column)


def _checked(pieces: Sequence[Piece], dialect: Dialect, file: str) -> tuple[list[FoundItem], list[str]]:
    checker = Checker()
    items: list[FoundItem] = []
    unread: list[str] = []
    for piece in pieces:
        parsed = parse(piece.text, dialect)
        place = f"{file}:{piece.line}" if file else ""
        found = checker.check(parsed, Context(parsed.statement, dialect))
        items += [_item(finding, place, parsed) for finding in found]
        name = parsed.statement.summary or parsed.statement.fingerprint
        unread += [_placed(problem, piece, file, name) for problem in parsed.problems if _counts(problem)]
    remarks = [*unread, f"{len(pieces) - len(unread)} read, {len(unread)} not understood"]
    return items, remarks


def _counts(problem: Problem) -> bool:
    return problem.reason is not Reason.KIND


def _placed(problem: Problem, piece: Piece, file: str, name: str) -> str:
    return piece.placed(problem, file) if file else f"{name}: {_said(problem)}"


def _said(problem: Problem) -> str:
    return str(problem).partition(" (line ")[0]


def _item(finding: Finding, place: str, parsed: Parsed) -> FoundItem:
    data = {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "confidence": finding.confidence.value,
        "message": finding.message,
        "advice": finding.advice,
        "evidence": dict(finding.evidence),
        "fingerprint": finding.fingerprint,
        "summary": finding.summary,
        "place": place,
    }
    return FoundItem(finding, place, 1, 0.0, parsed.statement.text, data)
