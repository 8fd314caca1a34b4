"""What may be recorded under a key: everything, nothing, or what a rule for that position leaves of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tickspan.recording.attribute import AttributeValue
from tickspan.recording.scan import names_a_secret, scrubbed, scrubbed_lines
from tickspan.recording.tally import Tally
from tickspan.recording.urls import REDACTED, query_without_data, without_data
from tickspan.semconv import foreign as names

Cleaner = Callable[[str], str]
"""What a text may keep. It may raise: then nothing is kept."""

MAX_KEYS: Final = 4096
"""Keys whose verdict is remembered; for further ones it is made each time."""
_MAX_REMEMBERED_LENGTH: Final = 256

RULE_KEY: Final = "key"
RULE_NEVER: Final = "never"
RULE_HEADER: Final = "header"
RULE_URL: Final = "url"
RULE_STATEMENT: Final = "statement"
RULE_TEXT: Final = "text"
RULE_REGISTERED: Final = "registered"
RULE_FAILED: Final = "failed"
"""The rule itself raised: the value is gone, and the rule stays on."""

REDACTIONS: Final = Tally(
    (
        RULE_KEY,
        RULE_NEVER,
        RULE_HEADER,
        RULE_URL,
        RULE_STATEMENT,
        RULE_TEXT,
        RULE_REGISTERED,
        RULE_FAILED,
    )
)


def redactions() -> dict[str, int]:
    """Values that were changed or replaced so far, by rule."""
    return REDACTIONS.counts()


class KeyPolicy:
    """The verdict on a key. `PLAIN` and `SECRET` are compared by identity."""

    __slots__ = ("_clean", "keeps_numbers", "rule")

    def __init__(self, rule: str, clean: Cleaner | None, *, keeps_numbers: bool = True) -> None:
        self.rule = rule
        self.keeps_numbers = keeps_numbers
        """Whether a number under this key tells nothing: `usage.output_tokens`."""
        self._clean = clean

    def __repr__(self) -> str:
        return f"<KeyPolicy {self.rule}>"

    def apply(self, value: AttributeValue) -> AttributeValue:
        """What of a clean value may be recorded. Never raises: a rule that does leaves `[redacted]`."""
        if self._clean is None or value is None:
            return value
        try:
            kept = self._kept(value)
        except Exception:  # noqa: BLE001 - a privacy rule fails closed, and is never switched off
            REDACTIONS.add(RULE_FAILED)
            return REDACTED
        if kept is not value and kept != value:
            REDACTIONS.add(self.rule)
        return kept

    def _kept(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._clean(value) if self._clean is not None and value else value
        if isinstance(value, tuple):
            return tuple([self._kept(item) for item in value])
        if isinstance(value, bytes):
            return REDACTED
        if isinstance(value, dict):
            return self._kept_of_mapping(value)
        return value if self.keeps_numbers or value is None else REDACTED

    def _kept_of_mapping(self, value: dict[str, AttributeValue]) -> AttributeValue:
        """Free text may come in fields; where one address or statement is due, a mapping says too much."""
        if self.rule != RULE_TEXT:
            return REDACTED
        return {key: key_policy(key).apply(self._kept(item)) for key, item in value.items()}


def _nothing(text: str) -> str:
    del text
    return REDACTED


def _no_text(text: str) -> str:
    del text
    return ""


def _query(text: str) -> str:
    return query_without_data(text)


PLAIN: Final = KeyPolicy("plain", None)
SECRET: Final = KeyPolicy(RULE_KEY, _nothing, keeps_numbers=False)
_COUNT: Final = KeyPolicy(RULE_KEY, _nothing)
_NEVER: Final = KeyPolicy(RULE_NEVER, _nothing, keeps_numbers=False)
_HEADER: Final = KeyPolicy(RULE_HEADER, _nothing, keeps_numbers=False)
_URL: Final = KeyPolicy(RULE_URL, without_data)
_QUERY: Final = KeyPolicy(RULE_URL, _query)
_USER_INFO: Final = KeyPolicy(RULE_URL, _no_text)
_TEXT: Final = KeyPolicy(RULE_TEXT, scrubbed)
_STACK: Final = KeyPolicy(RULE_TEXT, scrubbed_lines)
_UNKNOWN_STATEMENT: Final = KeyPolicy(RULE_STATEMENT, _nothing)
"""Until someone who can read statements has registered, none is kept."""

_FIXED: Final[dict[str, KeyPolicy]] = {
    **dict.fromkeys(names.URLS, _URL),
    **dict.fromkeys(names.URL_QUERIES, _QUERY),
    **dict.fromkeys(names.URL_PRIVATE_PARTS, _USER_INFO),
    **dict.fromkeys(names.STATEMENTS, _UNKNOWN_STATEMENT),
    **dict.fromkeys(names.NEVER, _NEVER),
}
_NEVER_BEGINNINGS: Final = names.NEVER_BEGINNINGS
_HEADERS: Final = re.compile(names.HEADER_PATTERN)
_SECRET_HEADER: Final = re.compile(r"(?:.*[-_.])?(?:key|sign.*|passphrase)|.*(?:auth|cookie|csrf|xsrf).*")
_URL_HEADER: Final = re.compile(r"referr?er|location|content-location|origin")
_TEXT_NAMES: Final = frozenset(
    {
        "body",
        "comment",
        "description",
        "detail",
        "details",
        "endpoint",
        "err",
        "error",
        "exception",
        "href",
        "message",
        "msg",
        "note",
        "reason",
        "text",
        "uri",
        "url",
        "warning",
    }
)
"""Last words of keys under which people's sentences stand, or addresses: free text for the scanner."""

_STACK_NAMES: Final = frozenset({"stack", "stacktrace", "traceback"})

KNOWN: Final[dict[str, KeyPolicy]] = {}
"""Verdicts so far, for a look-up without a call; `key_policy` decides what is not in it."""
_registered: Final[dict[str, KeyPolicy]] = {}
REVISION: Final = [0]
"""How often a verdict has been changed: what was cleaned before that is cleaned anew."""


def register_cleaner(key: str, clean: Cleaner) -> None:
    """From now on a text under `key` is what `clean` leaves of it; the last one registered counts.

    For rules that know more than this layer may import, such as the reader of SQL.
    """
    before = _FIXED.get(key)
    _registered[key] = KeyPolicy(RULE_REGISTERED if before is None else before.rule, clean)
    _changed(key)


def forget_cleaner(key: str) -> None:
    """Take the registration back: the rule of this layer counts again."""
    _registered.pop(key, None)
    _changed(key)


def _changed(key: str) -> None:
    KNOWN.pop(key, None)
    REVISION[0] += 1


def key_policy(key: str) -> KeyPolicy:
    """The verdict on `key`, which is clean. Never raises."""
    policy = KNOWN.get(key)
    if policy is None:
        policy = _decided(key)
        if len(KNOWN) < MAX_KEYS and len(key) <= _MAX_REMEMBERED_LENGTH:
            KNOWN[key] = policy
    return policy


def _decided(key: str) -> KeyPolicy:
    given = _registered.get(key) or _FIXED.get(key)
    if given is not None:
        return given
    lower = key.lower()
    if lower.startswith(_NEVER_BEGINNINGS):
        return _NEVER
    header = _HEADERS.fullmatch(lower)
    if header is not None:
        return _of_header(header[1].replace("_", "-"))
    if names_a_secret(key):
        return _COUNT if lower.endswith("tokens") else SECRET
    last = re.split(r"[^a-z0-9]", lower)[-1]
    if last in _STACK_NAMES:
        return _STACK
    return _TEXT if last in _TEXT_NAMES else PLAIN


def _of_header(name: str) -> KeyPolicy:
    if _SECRET_HEADER.fullmatch(name) or names_a_secret(name):
        return _HEADER
    return _URL if _URL_HEADER.fullmatch(name) else _TEXT
