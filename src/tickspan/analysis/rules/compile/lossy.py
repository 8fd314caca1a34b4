"""The lossy problem: what a rule says and a target cannot."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Lossy"]


class Lossy(NamedTuple):
    """Something that is lost.

    Attributes:
        rule: name of it.
        message: what the target cannot say, and what happens to the rule.
        is_left_out: the whole rule is not among what was compiled.
    """

    rule: str
    message: str
    is_left_out: bool = False

    def __str__(self) -> str:
        """`SlowTradeExecution: no_data: keep has no counterpart`."""
        return f"{self.rule}: {self.message}"
