"""Silences: which alerts nobody is to be told of, until when, and why. For those who run no Alertmanager.

They are kept in a file beside the checkpoint. Notifiers honour them; the log event is written all the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from tickspan.alerts.checkpoint import write_atomically
from tickspan.analysis.rules.model import Labels

__all__ = ["FILE", "LabelMatcher", "Silence", "SilenceError", "Silences", "parse_matchers"]

FILE: Final = "alerts-silences.json"
_MATCHER: Final = re.compile(
    r'\s*([A-Za-z_][\w:]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}]*?))\s*(?:,|$)', re.DOTALL
)
_ESCAPE: Final = re.compile(r'\\(["\\n])')
_MOST: Final = 1_000
_LONGEST: Final = 1_000


class SilenceError(ValueError):
    """A silence cannot be made; says what was expected and what came."""


@dataclass(frozen=True)
class LabelMatcher:
    """A condition on one label; a missing label counts as "". Regular expressions match the whole value.

    Attributes:
        label: its name.
        sign: `=`, `!=`, `=~` or `!~`.
        value: text, or a regular expression.
    """

    label: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{json.dumps(self.value)}"

    def accepts(self, value: str) -> bool:
        """Whether a label of this value matches."""
        if self.sign in {"=", "!="}:
            return (value == self.value) is (self.sign == "=")
        return (self._pattern.fullmatch(value) is not None) is (self.sign == "=~")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.value, re.DOTALL)


@dataclass(frozen=True)
class Silence:
    """One silence. Times are seconds since 1970.

    Attributes:
        id: names it.
        matchers: all of them must accept an alert's labels.
        until_s: when it ends.
        comment: why.
        created_s: when it was made.
    """

    id: str
    matchers: tuple[LabelMatcher, ...]
    until_s: float
    comment: str = ""
    created_s: float = 0.0

    def covers(self, labels: Labels) -> bool:
        """Whether an alert with these labels is silenced."""
        values = dict(labels)
        return all(matcher.accepts(values.get(matcher.label, "")) for matcher in self.matchers)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": self.id,
            "matchers": [str(matcher) for matcher in self.matchers],
            "until_s": self.until_s,
            "comment": self.comment,
            "created_s": self.created_s,
        }


def parse_matchers(text: str) -> tuple[LabelMatcher, ...]:
    r"""Matchers as Alertmanager writes them: `{alertname="SlowVenue",trading_venue_name=~"bin.*"}`.

    Braces and quotes may be left out.

    Raises:
        SilenceError: they cannot be read, or would silence every alert.
    """
    inner = text.strip()
    if len(inner) > _LONGEST:
        raise SilenceError(f"expected matchers of {_LONGEST} letters at most, got {len(inner)}")
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    matchers: list[LabelMatcher] = []
    position = 0
    while position < len(inner.rstrip()):
        match = _MATCHER.match(inner, position)
        if match is None:
            raise SilenceError(
                f"expected matchers like alertname=\"SlowVenue\", got '{inner[position:][:60]}'"
            )
        quoted, bare = match[3], match[4]
        value = bare if quoted is None else _ESCAPE.sub(_unescaped, quoted)
        matchers.append(_checked(LabelMatcher(match[1], match[2], value)))
        position = match.end()
    if all(matcher.accepts("") for matcher in matchers):
        raise SilenceError(
            "expected a matcher that does not accept an empty label, or all alerts would be silent"
        )
    return tuple(matchers)


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _checked(matcher: LabelMatcher) -> LabelMatcher:
    try:
        matcher.accepts("")
    except re.error as error:
        raise SilenceError(
            f"{matcher.label}: expected a regular expression, got '{matcher.value}': {error}"
        ) from None
    return matcher


class Silences:
    """The silences of a folder. For one thread at a time; other processes may change the file meanwhile."""

    def __init__(self, path: Path | None, wall: Callable[[], float]) -> None:
        """Without a path there are none."""
        self._path = path
        self._wall = wall
        self._version: tuple[int, ...] = ()
        self._known: tuple[Silence, ...] = ()

    def __repr__(self) -> str:
        return f"<Silences {len(self.current())} of {self._path}>"

    def current(self) -> tuple[Silence, ...]:
        """Those that have not ended, oldest first. A file that cannot be read silences nothing."""
        self._look()
        now_s = self._wall()
        return tuple(silence for silence in self._known if silence.until_s > now_s)

    def cover(self, labels: Labels) -> bool:
        """Whether an alert is silenced now."""
        return any(silence.covers(labels) for silence in self.current())

    def add(self, matchers: Sequence[LabelMatcher], until_s: float, comment: str = "") -> Silence:
        """Make one. Raises SilenceError for a time that is over, OSError when the file cannot be written."""
        now_s = self._wall()
        if until_s <= now_s:
            raise SilenceError("expected a time to come, got one that is over")
        silence = Silence(token_hex(4), tuple(matchers), until_s, comment[:_LONGEST], now_s)
        with self._changing():
            kept = self.current()
            if len(kept) >= _MOST:
                raise SilenceError(f"expected {_MOST} silences at most; remove some")
            self._write([*kept, silence])
        return silence

    def remove(self, identifier: str) -> bool:
        """End one; False when there is none of this name. Raises OSError when the file cannot be written."""
        with self._changing():
            known = self.current()
            kept = [silence for silence in known if silence.id != identifier]
            if len(kept) == len(known):
                return False
            self._write(kept)
        return True

    def _look(self) -> None:
        if self._path is None:
            return
        try:
            status = self._path.stat()
        except OSError:
            self._version, self._known = (), ()
            return
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version != self._version:
            self._version, self._known = version, _read(self._path)

    def _write(self, silences: Sequence[Silence]) -> None:
        assert self._path is not None
        write_atomically(self._path, {"version": 1, "silences": [silence.to_json() for silence in silences]})

    @contextmanager
    def _changing(self) -> Generator[None]:
        """Two commands at once must not lose each other's silence."""
        if self._path is None:
            raise FileNotFoundError("expected a folder for silences, got none")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _read(path: Path) -> tuple[Silence, ...]:
    try:
        document: Mapping[str, Any] = json.loads(path.read_bytes())
        return tuple(
            Silence(
                str(one["id"]),
                tuple(matcher for text in one["matchers"] for matcher in parse_matchers_of_file(text)),
                float(one["until_s"]),
                str(one.get("comment", "")),
                float(one.get("created_s", 0.0)),
            )
            for one in document["silences"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def parse_matchers_of_file(text: str) -> tuple[LabelMatcher, ...]:
    """One matcher as `str()` writes it; it may accept the empty label, since others stand beside it."""
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise SilenceError(f"expected a matcher, got '{text[:60]}'")
    return (_checked(LabelMatcher(match[1], match[2], json.loads(f'"{match[3]}"'))),)
