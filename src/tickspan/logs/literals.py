"""Literals: text that whatever a regular expression finds must hold. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["is_free_of_place", "literal_of"]

_OPTIONAL: Final = "*?{"
_PLACED: Final = ("^", "$", "\\A", "\\Z", "(?", "++", "*+", "?+", "}+")


def literal_of(pattern: str) -> str:
    """The longest run of characters that stand in the expression for themselves; empty where none is sure.

    Nothing is sure of an expression with alternatives, groups that are more than groups, or flags.
    """
    if "|" in pattern or "(?" in pattern:
        return ""
    runs: list[str] = [""]
    depth = at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\":
            escaped = pattern[at : at + 1]
            at += 1
            literal = "" if escaped.isalnum() or not escaped.isascii() else escaped
            is_literal = bool(literal) and depth == 0
            character = literal
        elif character == "[":
            at = _end_of_class(pattern, at)
            is_literal = False
        elif character in "()":
            depth += 1 if character == "(" else -1
            is_literal = False
        else:
            is_literal = depth == 0 and character not in ".^$*+?{}"
        if character and character in _OPTIONAL and not is_literal:
            runs[-1] = runs[-1][:-1]
        if character == "{" and not is_literal:
            at = max(at, pattern.find("}", at) + 1)
        if is_literal:
            runs[-1] += character
        else:
            runs.append("")
    return max(runs, key=len)


def is_free_of_place(pattern: str) -> bool:
    """Whether it finds in many lines at once what it finds in each: it asks for no begin and no end."""
    return not any(part in pattern for part in _PLACED)


def _end_of_class(pattern: str, at: int) -> int:
    """Behind the bracket that ends a set of characters; the first may be a bracket itself."""
    at += pattern[at : at + 1] == "^"
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1
