"""How far ahead is read, and in what portions: the defaults of `rows`, and those for long scans."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

_MIB: Final = 1024 * 1024
_ANALYTICS_CHUNK: Final = 10_000
_ANALYTICS_BYTES: Final = 64 * _MIB
_ANALYTICS_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class LazyRules:
    """Chunks and prefetching.

    Attributes:
        chunk: rows of the first fetch.
        prefetch: chunks that are fetched or wait while one is consumed; 0 fetches when asked.
        prefetch_bytes: what they may take in memory; a chunk aims at half of it at most.
        fetch_s: seconds that a fetch aims at.
        is_adaptive: whether chunks follow those aims, or stay at `chunk` rows.
    """

    chunk: int = 1000
    prefetch: int = 2
    prefetch_bytes: int = 8 * _MIB
    fetch_s: float = 0.05
    is_adaptive: bool = True

    def __post_init__(self) -> None:
        for name, least in (("chunk", 1), ("prefetch", 0), ("prefetch_bytes", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number, at least {least}, not {value!r}")
        if self.fetch_s <= 0:
            raise ValueError(f"fetch_s must be more than 0, not {self.fetch_s}")


_lock = threading.Lock()
_current: LazyRules = LazyRules()


def current_rules() -> LazyRules:
    """What `rows` uses where its call says nothing else."""
    return _current


class Configured:
    """Takes a change of the defaults back: by `restore()`, or at the end of a `with` block."""

    __slots__ = ("_before",)

    def __init__(self, before: LazyRules) -> None:
        self._before: LazyRules | None = before

    def __repr__(self) -> str:
        return f"<Configured {'restored' if self._before is None else 'in force'}>"

    def restore(self) -> None:
        """Put the defaults of before back, once."""
        global _current
        with _lock:
            if self._before is not None:
                _current, self._before = self._before, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


def configure(rules: LazyRules) -> Configured:
    """Make `rules` the defaults of this process, for iterations that begin later."""
    global _current
    with _lock:
        before, _current = _current, rules
    return Configured(before)


def configure_for_analytics() -> Configured:
    """Portions for scans of many millions of rows: first 10,000 rows, up to 64 MiB ahead, 250 ms per fetch.

    Larger chunks mean fewer statements, and a longer wait for the first row and after a `break`.
    """
    return configure(
        replace(
            current_rules(),
            chunk=_ANALYTICS_CHUNK,
            prefetch_bytes=_ANALYTICS_BYTES,
            fetch_s=_ANALYTICS_S,
        )
    )
