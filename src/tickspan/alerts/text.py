"""The text of a rule file: its documents as mappings, lists and scalars, with the lines of YAML's values.

Scalars of YAML stay text, so that `22:00`, `NO` and `on` are what they look like; the schema says what they
mean. Size, depth and what aliases add up to are bounded, and no tag makes an object.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.analysis.rules.forms import Twice
from tickspan.analysis.rules.problems import Misread, Place

__all__ = ["MAX_BYTES", "Document", "read_toml", "read_yaml"]

MAX_BYTES: Final = 1024 * 1024
_MAX_VALUES: Final = 100_000
_MAX_DEPTH: Final = 32
_MERGE: Final = "<<"
_PLAIN_TAGS: Final = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!")


class TextError(Misread):
    """The text is no document. Has the line, counted from 1, where that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        value: mostly a mapping.
        lines: of its values, counted from 1, by their place; none in TOML.
    """

    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict[Place, int])


def read_toml(text: str) -> Document:
    """The document of a TOML text. Raises `TextError`."""
    try:
        return Document(tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise TextError(f"expected TOML: {why}") from None


def read_yaml(text: str) -> list[Document]:
    """The documents of a YAML text; an empty one has none.

    Raises:
        TextError: the text is no YAML, or goes beyond the bounds.
        ImportError: PyYAML is not installed.
    """
    import yaml  # the extra `alerts` brings it; rule files in TOML do without

    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise TextError(f"expected YAML: {error.problem or error.context}", line) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, TextError):
            raise
        why = str(error).partition("\n")[0]
        raise TextError(f"expected YAML: {why}") from None
    return builder.documents


@dataclass(slots=True)
class _Level:
    """A collection that is not closed yet."""

    value: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0
    given: dict[str, int] = field(default_factory=dict[str, int])
    merged: list[Any] = field(default_factory=list[Any])


class _Builder:
    """Makes documents of the parser's events, one at a time: no recursion, whatever the text is."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self._levels: list[_Level] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._lines: dict[Place, int] = {}
        self._values = 0

    def take(self, event: Any) -> None:
        """Go on with the next event."""
        line: int = event.start_mark.line + 1
        match type(event).__name__:
            case "DocumentStartEvent":
                self._anchors, self._lines = {}, {}
            case "ScalarEvent":
                self._check_tag(event, line)
                self._add(event.value, 1, line, event.anchor)
            case "AliasEvent":
                self._add_alias(event.anchor, line)
            case "MappingStartEvent":
                self._open({}, event, line)
            case "SequenceStartEvent":
                self._open([], event, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close(line)
            case _:
                pass

    @staticmethod
    def _check_tag(event: Any, line: int) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            raise TextError(f"expected values without tags, got '{event.tag[:40]}'", line)

    def _open(self, value: dict[str, Any] | list[Any], event: Any, line: int) -> None:
        self._check_tag(event, line)
        if len(self._levels) >= _MAX_DEPTH:
            raise TextError(f"expected at most {_MAX_DEPTH} levels", line)
        if self._levels and isinstance(self._levels[-1].value, dict) and self._levels[-1].key is None:
            raise TextError("expected text as keys, got a collection", line)
        place = self._place(line)
        self._levels.append(_Level(value, place, event.anchor))

    def _close(self, line: int) -> None:
        level = self._levels.pop()
        value = level.value
        if isinstance(value, dict):
            _merge(value, level.merged, line)
        self._put(value, level.size, line, level.anchor)

    def _add(self, text: str, size: int, line: int, anchor: str | None) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            level.key, level.key_line = text, line
            return
        self._place(line)
        self._put(text, size, line, anchor)

    def _add_alias(self, anchor: str, line: int) -> None:
        if anchor not in self._anchors:
            raise TextError(f"expected an anchor that stands before its alias, got '*{anchor[:40]}'", line)
        value, size = self._anchors[anchor]
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            raise TextError("expected text as keys, got an alias", line)
        self._place(line)
        self._put(value, size, line, None, cost=size)

    def _place(self, line: int) -> Place:
        """Where the next value stands; its line is noted: that of its key, in a mapping."""
        place: Place = ()
        if self._levels:
            level = self._levels[-1]
            if isinstance(level.value, list):
                place = (*level.place, len(level.value))
            else:
                assert level.key is not None
                place, line = (*level.place, level.key), level.key_line
        self._lines.setdefault(place, line)
        return place

    def _put(self, value: Any, size: int, line: int, anchor: str | None, cost: int = 1) -> None:
        """Put a finished value where it belongs. An alias costs as much as what it stands for."""
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        self._values += cost
        if self._values > _MAX_VALUES:
            raise TextError(f"expected at most {_MAX_VALUES} values, aliases included", line)
        if not self._levels:
            self.documents.append(Document(value, self._lines))
            return
        level = self._levels[-1]
        level.size += size
        if isinstance(level.value, list):
            level.value.append(value)
            return
        key = level.key
        assert key is not None
        level.key = None
        if key == _MERGE:
            level.merged.append(value)
        elif key in level.given:
            level.value[key] = Twice(level.given[key], level.key_line)
        else:
            level.value[key] = value
            level.given[key] = level.key_line


def _merge(value: dict[str, Any], merged: list[Any], line: int) -> None:
    """Add what `<<` names; keys of the mapping itself, and of earlier ones, win."""
    for given in merged:
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, dict):
                raise TextError("expected a mapping, or a list of them, under '<<'", line)
            for key, inner in one.items():
                value.setdefault(key, inner)
