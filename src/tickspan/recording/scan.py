"""The second net for secrets: a bounded, linear scanner for free text.

The first net is position: keys (`tickspan.recording.keys`) and what is registered for them. There is no
entropy rule here: client order ids and trace ids look like keys.
"""

from __future__ import annotations

import re
from typing import Final

from tickspan.recording.urls import REDACTED, in_text

__all__ = ["MAX_SCANNED", "REDACTED", "names_a_secret", "scrubbed", "scrubbed_lines", "without_secrets"]

MAX_SCANNED: Final = 4 * 1024
"""Characters of a text that are kept and scanned."""

MAX_LINES_SCANNED: Final = 4 * MAX_SCANNED
"""The same of a text of many lines."""

_MARK: Final = " …[cut]"
_SECRETIVE: Final = (
    r"(?:secret|passw(?:or)?d|passphrase|passcode|token|signature|mnemonic|seed[ _-]?phrase"
    r"|(?:api|access|private|signing|encryption)[ _.-]?key"
    r"|authorization|credential|cookie|listenkey|session[_-]?id)"
)
_WHOLE_WORD: Final = r"(?<![a-zA-Z0-9])(?:sign|sig|pwd|hmac|jwt)"
_QUOTE: Final = r"""(?:\\{0,3}["']|\\{1,3}u00(?:22|27)|&(?:quot|\#0?3[49]|apos);|%(?:25)?2[27])"""
"""A quotation mark as it is, escaped, as an escape of JSON, of HTML, of a URL."""
_EQUALS: Final = (
    r"(?:\s{0,4}(?:=>|:=|:|=|%(?:25){0,2}3[ad]|\\{1,3}u003[ad])(?:\s|%20|\+){0,4}|(?:>|&gt;)(?=[^\s<]))"
)
_ENCLOSED: Final = (
    r"""[bru]?"[^"]{0,4096}"?|[bru]?'[^']{0,4096}'?|\\{1,3}["'][^\\"']{0,4096}"""
    r"""|(?:\\{1,3}u00(?:22|27))[^\\"']{0,4096}|&(?:quot|\#0?3[49]|apos);[^&<"']{0,4096}"""
    r"""|%(?:25)?2[27](?:(?!%(?:25)?2[27])[^\s"'<>&]){0,4096}"""
    r"""|(?!\[redacted\])[\[({][^\])}]{0,4096}[\])}]?"""
)
_BARE: Final = r"""(?:(?:bearer|basic|token|hmac|digest)\s+)?(?!\[redacted\])[^\s"'&,;)}\]<>]+"""
_MENTIONED: Final = (
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "token",
    "mnemonic",
    "phrase",
    "key",
    "authorization",
    "credential",
    "cookie",
    "session",
    "sig",
    "pwd",
    "hmac",
    "jwt",
)
_RULES: Final = (
    # Authorization: any scheme and its words, to the end of the line; the same for cookies
    (
        ("authorization", "cookie"),
        re.compile(
            rf"""(?i)(?P<kept>(?:authorization|cookie){_QUOTE}?{_EQUALS})(?P<secret>{_ENCLOSED}|[^\r\n"']+)"""
        ),
    ),
    # "key": "value", 'key': b'value', key=value, key: value, \"key\": \"value\", ('key', 'value')
    (
        _MENTIONED,
        re.compile(
            rf"""(?i)(?P<kept>(?:{_SECRETIVE}[\w.-]{{0,40}}|{_WHOLE_WORD})"""
            rf"""(?:{_QUOTE}?{_EQUALS}|\\{{0,3}}["'],\s{{0,4}}(?=[bru]?["'])))(?P<secret>{_ENCLOSED}|{_BARE})"""
        ),
    ),
    (
        ("bearer", "basic"),
        re.compile(r"(?P<kept>\b(?i:bearer|basic)(?:\s|%20|\+){1,4})(?P<secret>[A-Za-z0-9._~+/=%-]{8,})"),
    ),
    (
        ("-----begin",),
        re.compile(r"(?P<kept>-----BEGIN [A-Z0-9 ]{0,40}-----)(?P<secret>[^-]{1,4096})"),
    ),
    (
        ("eyj",),
        re.compile(
            r"(?P<kept>)(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3})"
        ),
    ),
    # what issuers put in front of their keys
    (
        (
            "sk-",
            "k_live_",
            "k_test_",
            "gh",
            "github_pat_",
            "glpat-",
            "akia",
            "asia",
            "xox",
            "xapp-",
            "aiza",
            "ya29.",
            "sg.",
            "npm_",
            "pypi-",
            "hf_",
            "shp",
            "dop_v1_",
        ),
        re.compile(
            r"(?P<kept>)(?P<secret>\b(?:[spr]k_(?:live|test)_\w{8,}|sk-[\w-]{20,}|gh[pousr]_\w{16,}"
            r"|github_pat_\w{16,}|glpat-[\w-]{16,}|A[KS]IA[0-9A-Z]{12,}|xox[abeprs]-[\w-]{8,}|xapp-[\w-]{8,}"
            r"|AIza[\w-]{30,}|ya29\.[\w-]{16,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}|pypi-[\w-]{30,}|hf_\w{30,}"
            r"|shp(?:at|ca|pa|ss)_\w{16,}|dop_v1_\w{16,}))"
        ),
    ),
    # a request's line and a path in an error, whose query `in_text` has taken away: what it could not read
    (
        ("get /", "post /", "put /", "patch /", "delete /", "head /", "url: /"),
        re.compile(
            r"(?P<kept>\b(?i:get|post|put|patch|delete|head|url:)\s{1,4}/[^\s?\"'<>]*\?)"
            r"(?P<secret>(?!\[redacted\])[^\s\"'<>]+)"
        ),
    ),
    # a Telegram bot's token
    ((":aa",), re.compile(r"(?P<kept>)(?P<secret>\b\d{6,12}:AA[\w-]{30,})")),
)


def scrubbed(text: str) -> str:
    """A text for people, at most 4 KiB and a mark, its URLs by the URL rule and the rest by the scanner."""
    is_long = len(text) > MAX_SCANNED
    if is_long:
        text = _head(text)
    text = without_secrets(in_text(text))
    return text + _MARK if is_long else text


def scrubbed_lines(text: str) -> str:
    """As `scrubbed`, of a text of many lines, such as a stack: whole lines at a time, four times as much."""
    if len(text) <= MAX_SCANNED:
        return scrubbed(text)
    kept: list[str] = []
    start, end = 0, min(len(text), MAX_LINES_SCANNED)
    while start < end:
        stop = end if end - start <= MAX_SCANNED else text.rfind("\n", start, start + MAX_SCANNED) + 1
        if not stop:  # one line is longer
            kept.append(scrubbed(text[start:end]))
            return "".join(kept)
        kept.append(scrubbed(text[start:stop]))
        start = stop
    return "".join(kept) + (_MARK if end < len(text) else "")


def without_secrets(text: str) -> str:
    """`text`, cut to 4 KiB, with values of secret-looking keys, keys and tokens replaced by `[redacted]`.

    A text that mentions nothing of the kind costs some searches for literals, which is next to nothing.
    """
    text = text[:MAX_SCANNED]
    lower = text.lower()
    for triggers, rule in _RULES:
        if _mentions(lower, triggers):
            text = rule.sub(_kept_and_redacted, text)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a value under this key must not be recorded."""
    return _SECRET_KEY.search(key) is not None


_SECRET_KEY: Final = re.compile(
    rf"(?i:{_SECRETIVE}|{_WHOLE_WORD}(?![a-zA-Z0-9])|(?:^|[._-])(?:auth|otp|dsn)$|connection[_-]?string)"
)


def _mentions(lower: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - `any` over a generator costs three times as much
        if word in lower:
            return True
    return False


def _head(text: str) -> str:
    """4 KiB in whole words: the head of a URL's password would look like its port."""
    return text[:MAX_SCANNED].rpartition(" ")[0] or REDACTED


def _kept_and_redacted(match: re.Match[str]) -> str:
    return f"{match['kept']}{REDACTED}"
