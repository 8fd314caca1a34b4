"""Keys: what callers may use as one, and how it is written in the names of Redis and the disk.

A str stands as it is but for characters that mean something there, an int is `i123`, a tuple its parts joined
by `:`. Different keys have different texts, and a text tells its key.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from tickspan.cache.entry import Key

__all__ = ["KEY_BYTES", "Names", "check_name", "key_of", "prefix_of", "text_of"]

KEY_BYTES: Final = 512
"""Of a key as text."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PLAIN: Final = re.compile(r"[A-Za-hj-z0-9_./@+=#$&,;|~ -][A-Za-z0-9_./@+=#$&,;|~ -]*")
"""Begins with no `i`, which begins an int; has no separator, no glob, nothing to escape."""
_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f%:*?\[\]\\^]")
_INT: Final = re.compile(r"i(-?(?:0|[1-9]\d*))")
_EMPTY: Final = "%"
_SEPARATOR: Final = ":"


def text_of(key: Key) -> str:
    """The text of a key, at most 512 bytes.

    Raises:
        TypeError: it is no str, int or tuple of them (a bool, float or None is none), or too long.
    """
    if type(key) is str and len(key) <= KEY_BYTES // 4 and _PLAIN.fullmatch(key):
        return key
    text = _tuple(key) if isinstance(key, tuple) else _component(key)
    size = len(text.encode())
    if size > KEY_BYTES:
        raise TypeError(f"key: expected at most {KEY_BYTES} bytes as text, got {size}")
    return text


def key_of(text: str) -> Key | None:
    """The key of a text; None for what no key has."""
    parts = text.split(_SEPARATOR)
    values = [_value(part) for part in parts]
    if len(values) == 1:
        return values[0]
    if values[-1] is None and len(values) == 2 and not parts[-1]:  # noqa: PLR2004 - a tuple of one: `a:`
        values.pop()
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


def prefix_of(prefix: str | tuple[str | int, ...]) -> str:
    """With what the texts of all keys begin that `prefix` means.

    A str means the strs that begin with it, and the tuples whose first part does; a tuple means the tuples
    that begin with all its parts and have more. "" means every key.

    Raises:
        TypeError: as `text_of`.
    """
    if isinstance(prefix, tuple):
        text = text_of(prefix)
        return text if len(prefix) == 1 else text + _SEPARATOR
    return "" if prefix == "" else text_of(prefix)


class Names:
    """The names of one region's things in the tiers below: `namespace:region:key` and its neighbours."""

    __slots__ = ("_claim", "all_prefix", "clear", "prefix", "region", "tag_prefix")

    text = staticmethod(text_of)

    def __init__(self, namespace: str, region: str) -> None:
        self.region = region
        self.prefix = f"{namespace}:{region}:"
        self.tag_prefix = f"{namespace}:@tag:{region}:"
        self.all_prefix = f"{namespace}:@all:"
        self.clear = f"{namespace}:@all:{region}"
        self._claim = f"{namespace}:@claim:{region}:"

    def value(self, key: Key) -> str:
        """Where the value of a key is. Raises `TypeError` as `text_of`."""
        return self.prefix + text_of(key)

    def key(self, name: str) -> Key | None:
        """Whose value is there; None for a name that is not of this region."""
        return key_of(name[len(self.prefix) :]) if name.startswith(self.prefix) else None

    def tag(self, tag: str) -> str:
        """Where the epoch of a tag is. Raises `TypeError` for what is no str, or too long."""
        if type(tag) is not str or not tag:
            raise TypeError(f"tag: expected a str that is not empty, got {type(tag).__name__}")
        text = text_of(tag)
        if len(text.encode()) > _TAG_BYTES:
            raise TypeError(f"tag: expected at most {_TAG_BYTES} bytes as text, got {len(text.encode())}")
        return self.tag_prefix + text

    def claim(self, key: Key) -> str:
        """Where the process that loads a key says so."""
        return self._claim + text_of(key)


_TAG_BYTES: Final = 255  # an envelope tells the length in one byte


def check_name(kind: str, name: str) -> str:
    """The name, if it can be part of names in the tiers.

    Raises:
        ValueError: it has other characters than letters, digits, `_`, `.`, `-`, or not 1 to 64 of them.
    """
    given: Any = name
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ValueError(f"{kind}: expected 1 to 64 letters, digits, '_', '.' or '-', got {name!r}")
    return name


def _tuple(key: tuple[object, ...]) -> str:
    if not key:
        raise TypeError("key: expected a str, int or a tuple of them, got an empty tuple")
    if len(key) == 1:
        return _component(key[0]) + _SEPARATOR
    return _SEPARATOR.join(map(_component, key))


def _component(part: object) -> str:
    if isinstance(part, str):
        return _escaped(str.__str__(part))  # what an enumeration of str has as its text is not its value
    if isinstance(part, int) and not isinstance(part, bool):
        return f"i{int(part)}"
    raise TypeError(f"key: expected a str, int or a tuple of them, got {type(part).__name__}")


def _escaped(text: str) -> str:
    if not text:
        return _EMPTY
    escaped = _SPECIAL.sub(_percent, text)
    try:
        escaped.encode()
    except UnicodeEncodeError:
        raise TypeError("key: expected text that UTF-8 can write, got a lone surrogate") from None
    return f"%69{escaped[1:]}" if escaped[0] == "i" else escaped


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _value(part: str) -> str | int | None:
    if part == _EMPTY:
        return ""
    if not part:
        return None
    if part[0] != "i":
        return unquote(part) if "%" in part else part
    found = _INT.fullmatch(part)
    return int(found[1]) if found else None
