"""What a token is: the kinds that the lexer tells apart, for those who read its tokens."""

from typing import Final, TypeAlias

__all__ = [
    "BROKEN",
    "CLOSE",
    "COMMA",
    "COMPARISON",
    "LITERAL",
    "NAME",
    "OPEN",
    "OPERATOR",
    "PLACEHOLDER",
    "QUOTED",
    "SEMICOLON",
    "Token",
]

Token: TypeAlias = tuple[int, str, bool, str]
"""Kind, source text, whether blank space or a comment stands before it, its keyword in upper case or ""."""

# Plain integers: the readers compare them once per token, where an enum member's look-up would cost most.
NAME: Final = 1
LITERAL: Final = 2
PLACEHOLDER: Final = 3
COMMA: Final = 4
COMPARISON: Final = 5
OPEN: Final = 6
CLOSE: Final = 7
OPERATOR: Final = 8
QUOTED: Final = 9
"""A double-quoted word without a dot where the dialect reads it as a name or as a string."""
SEMICOLON: Final = 10
BROKEN: Final = 11
