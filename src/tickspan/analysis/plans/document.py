"""A plan as the server writes it: JSON of names, numbers and expressions, read without trusting any of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

__all__ = [
    "MAX_DOCUMENT",
    "Json",
    "PlanFormatError",
    "as_list",
    "as_mapping",
    "as_number",
    "as_text",
    "load",
    "scalar",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DOCUMENT: Final = 4 << 20
"""Characters of a plan that are read; a longer one is refused, never cut."""


class PlanFormatError(ValueError):
    """A text that is no plan of the expected kind; the message quotes nothing of it."""


def load(text: str) -> Json:
    """The document in `text`; values of a key that comes several times become one list.

    Raises:
        PlanFormatError: it is no JSON, too long, or nested too deep.
    """
    if len(text) > MAX_DOCUMENT:
        raise PlanFormatError(f"expected a plan of at most {MAX_DOCUMENT} characters, got {len(text)}")
    try:
        return json.loads(text, object_pairs_hook=_without_loss)
    except json.JSONDecodeError as error:
        raise PlanFormatError(
            f"expected a plan as JSON, got something else at character {error.pos}"
        ) from None
    except RecursionError:
        raise PlanFormatError("expected a plan, got JSON that is nested too deep") from None


def _without_loss(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """MariaDB before 10.10 writes `table` once per table into the same object."""
    found: dict[str, Json] = {}
    repeated: set[str] = set()
    for name, value in pairs:
        if name not in found:
            found[name] = value
            continue
        known = found[name]
        if name in repeated and isinstance(known, list):
            known.append(value)
        else:
            found[name] = [known, value]
            repeated.add(name)
    return found


def as_mapping(value: object) -> Mapping[str, object]:
    """The value, or an empty mapping when it is none."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The value, or an empty list when it is none."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """The value, or "" when it is no text."""
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float | None:
    """The value as a float, `"0.35"` included (MySQL quotes its costs); None when it is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def scalar(value: object) -> str | int | float | bool | None:
    """The value as a detail of a node: lists of texts joined with commas; None for what is nested."""
    if isinstance(value, str | int | float | bool):
        return value
    texts = [str(item) for item in as_list(value) if isinstance(item, str | int | float)]
    return ", ".join(texts) or None
