"""What the web application is made of, as rows: pages, documents, actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tickspan_desk.store.reading import Reading, Window

__all__ = ["Action", "Asked", "Document", "NotFound", "Page", "Refused"]

_TEXT_MAX: Final = 1000
_LATEST_NS: Final = 2**63 - 1


class NotFound(LookupError):  # noqa: N818 - an answer, 404, not an error of ours
    """What was asked for is not there; the text says what may be done."""


class Refused(Exception):  # noqa: N818 - an answer, 409, not an error of ours
    """What was asked for cannot be done now; the text says why, and what may be done."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        path: parameters in the path, such as {"trace_id": "…"}.
        query: parameters behind the question mark, the last of each name.
        now_ns: when it was asked, nanoseconds since the epoch.
        pairs: parameters behind the question mark, all of them, in their order.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    now_ns: int
    pairs: tuple[tuple[str, str], ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """A parameter, cut to 1,000 characters."""
        return self.query.get(name, default)[:_TEXT_MAX]

    def every(self, name: str) -> tuple[str, ...]:
        """All values of a parameter that may be given more than once, each cut to 1,000 characters."""
        return tuple(value[:_TEXT_MAX] for key, value in self.pairs if key == name)

    def number(self, name: str, default: float = 0.0) -> float:
        """A parameter as a number; what is none, or not finite, counts as the default."""
        try:
            number = float(self.query.get(name, "") or default)
        except ValueError:
            return default
        return number if abs(number) < float("inf") else default

    def integer(self, name: str, default: int = 0) -> int:
        """A parameter as a whole number below 2**63, exact; what is none counts as the default."""
        digits = self.query.get(name, "")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(_LATEST_NS))
        return int(digits) if is_number and int(digits) <= _LATEST_NS else default

    def window(self, default_s: float = 3600.0) -> Window:
        """The last `range` seconds, or from `since` to `until` in nanoseconds."""
        until_ns = self.integer("until", self.now_ns + 1)
        span_ns = int(min(max(self.number("range", default_s), 1.0), 366 * 86_400.0) * 1e9)
        return Window(self.integer("since", max(until_ns - span_ns, 0)), min(until_ns, _LATEST_NS))


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: Starlette's notation, such as "/traces/{trace_id}"; its JSON is at "/api" + path.
        title: in the menu and on top; "" keeps it out of the menu.
        template: file under `templates`, which gets `model`, `asked`, `page`, `menu` and `statistics`.
        model: what is shown, as a dataclass. Raises `NotFound`. Runs in a worker thread.
        key: letter that leads to it after "g" on the keyboard.
    """

    path: str
    title: str
    template: str
    model: Callable[[Reading, Asked], Any]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be copied or kept, such as a trace as Markdown.

    Attributes:
        path: Starlette's notation.
        media_type: such as "text/markdown".
        make: its text. Raises `NotFound`. Runs in a worker thread.
    """

    path: str
    media_type: str
    make: Callable[[Reading, Asked], str]


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a button does: a POST to `path` of a JSON object.

    A form of a page that has `data-action="PATH"` sends its fields so, and shows the answer's member
    `message` in its `<output>`; a field's `data-confirm` text on the form is asked first.

    Attributes:
        path: Starlette's notation, under "/api", such as "/api/save"; no page has it.
        run: gets the object (at most 64 KiB of JSON) and returns what is answered, a dataclass or a mapping.
            Raises `NotFound` (404), `Refused` (409) or `ValueError` for an object that it cannot read (400);
            their text is the answer. Runs in a worker thread, several at a time.
    """

    path: str
    run: Callable[[Asked, Mapping[str, Any]], Any]
