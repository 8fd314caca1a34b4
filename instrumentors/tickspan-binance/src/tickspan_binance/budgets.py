"""Request budgets as Binance tells them in answers: which, how large, how much of it is spent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tickspan_binance.values import Message, items


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a rate limit is spent, in the words of the venue's profile."""

    name: str
    scope: str
    limit: float | None
    used: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request was one too many."""

    name: str
    scope: str
    is_ban: bool


_BUDGETS: Final = {"REQUEST_WEIGHT": "request_weight", "ORDERS": "orders", "RAW_REQUESTS": "requests"}
_TOO_MANY, _BANNED = 429, 418


def budgets_in(rate_limits: Any) -> tuple[Budget, ...]:
    """`rateLimits` of an answer by WebSocket, which count, or of `exchangeInfo`, which do not."""
    read = (_budget(limit) for limit in items(rate_limits))
    return tuple(budget for budget in read if budget is not None)


def _budget(limit: Message) -> Budget | None:
    kind, interval, count = limit.get("rateLimitType"), limit.get("interval"), limit.get("intervalNum", 1)
    if not isinstance(kind, str) or not isinstance(interval, str) or not isinstance(count, int):
        return None
    used, most = limit.get("count"), limit.get("limit")
    return Budget(
        _BUDGETS.get(kind, kind.lower()),
        f"{count}{interval[:1].lower()}",
        most if isinstance(most, int) else None,
        used if isinstance(used, int) else None,
    )


def refused(answer: Message, known: Sequence[Budget]) -> Refusal | None:
    """Which budget an answer by WebSocket says is spent; the fullest one."""
    status = answer.get("status")
    if status not in (_TOO_MANY, _BANNED):
        return None
    fullest = max(known, key=_spent, default=Budget("requests", "", None))
    return Refusal(fullest.name, fullest.scope, is_ban=status == _BANNED)


def _spent(budget: Budget) -> float:
    return budget.used / budget.limit if budget.used is not None and budget.limit else 0.0
