"""Stacks of blocked loops as text: `function (file:line)`, names only."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from tickspan.recording.loops import Place

__all__ = ["culprit", "stack_lines"]

_SHOWN: Final = 16
_OWN: Final = str(PurePath(__file__).parents[2])
_STANDARD: Final = sysconfig.get_paths()["stdlib"]
_INSTALLED: Final = tuple({sysconfig.get_paths()[name] for name in ("purelib", "platlib")})


def stack_lines(places: Sequence[Place]) -> tuple[str, ...]:
    """Innermost first, the innermost 16."""
    return tuple(_line(place) for place in places[:_SHOWN])


def culprit(places: Sequence[Place]) -> str | None:
    """The innermost place in code of the application; without one the innermost that is not ours; or None."""
    ours = [place for place in places if not place.code.co_filename.startswith(_OWN)]
    own = (place for place in ours if _is_applications(place.code.co_filename))
    found = next(own, ours[0] if ours else None)
    return None if found is None else _line(found)


def _is_applications(file: str) -> bool:
    if file.startswith("<"):
        return file in {"<string>", "<stdin>"}
    return not file.startswith((_STANDARD, *_INSTALLED))


def _line(place: Place) -> str:
    path = PurePath(place.code.co_filename)
    file = "/".join(path.parts[-2:]) if len(path.parts) > 1 else path.name
    return f"{place.code.co_qualname} ({file}:{place.line})"
