"""The entry: a mapping of a rule file, its keys checked and their values read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tickspan.analysis.rules.forms import Twice
from tickspan.analysis.rules.problems import Misread, Place, Problems, hint, shown
from tickspan.analysis.rules.schema import Key

__all__ = ["Entry", "read_keys"]


class Entry(NamedTuple):
    """What could be read of a mapping.

    Attributes:
        place: of the mapping.
        values: by key; those that are wrong or not given are not in it.
        raw: as the file has them.
        has_failed: a key is unknown, missing or wrong.
    """

    place: Place
    values: Mapping[str, Any]
    raw: Mapping[str, Any]
    has_failed: bool


def read_keys(
    raw: object, keys: Sequence[Key], place: Place, problems: Problems, *, needs_all: bool = True
) -> Entry:
    """Read a mapping by its keys; whatever is wrong becomes a problem.

    Args:
        raw: from the document.
        keys: that it may have.
        place: where it stands.
        problems: are added to.
        needs_all: whether required keys are asked for.
    """
    before = problems.count
    if not isinstance(raw, Mapping):
        problems.add(place, f"expected a mapping, got {shown(raw)}")
        return Entry(place, {}, {}, has_failed=True)
    known = {key.name: key for key in keys}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        key = known.get(name) if isinstance(name, str) else None
        if key is None:
            _unknown(name, known, place, problems)
            continue
        try:
            values[name] = _once(key, value)
        except Misread as misread:
            problems.add((*place, name), str(misread))
    if needs_all:
        for key in keys:
            if key.is_required and key.name not in raw:
                problems.add(place, f"expected '{key.name}', which is missing")
    return Entry(place, values, raw, problems.count != before)


def _unknown(name: object, known: Mapping[str, Key], place: Place, problems: Problems) -> None:
    if isinstance(name, str):
        problems.add((*place, name), f"unknown key{hint(name, known)}")
    else:
        problems.add(place, f"expected text as keys, got {shown(name)}")


def _once(key: Key, value: object) -> Any:
    if isinstance(value, Twice):
        raise Misread(f"expected once, got on lines {value.first_line} and {value.second_line}")
    return key.form.read(value)
