"""Durations in words."""

from __future__ import annotations

__all__ = ["told"]


def told(seconds: float) -> str:
    """Three digits at least, in the unit that suits: `1.23 s`, `45.6 ms`, `0.042 ms`.

    >>> told(0.0456)
    '45.6 ms'
    """
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.001 else f"{seconds * 1e3:.3f} ms"  # noqa: PLR2004 - 1 ms
