"""The second net for secrets: a bounded, linear scanner for free text.

The first net is position (`tickspan.instrumentation.redact`). There is no entropy rule here: client order
ids and trace ids look like keys.
"""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[redacted]"
MAX_SCANNED: Final = 4 * 1024
"""Characters of a text that are kept and scanned."""

_SECRETIVE: Final = (
    r"(?:secret|passw(?:or)?d|passphrase|token|signature|(?:api|access|private)[_-]?key"
    r"|authorization|credential|cookie|listenkey|session[_-]?id)[\w.-]{0,40}"
)
_WHOLE_WORD: Final = r"(?<![a-zA-Z0-9])(?:sign|sig|pwd)"
_EQUALS: Final = r"\s{0,4}(?:=>|:|=|%3[ad])\s{0,4}"
_ENCLOSED: Final = (
    r"""[bru]?"[^"]{0,4096}"?|[bru]?'[^']{0,4096}'?|\\{1,3}["'][^\\"']{0,4096}"""
    r"""|(?!\[redacted\])[\[({][^\])}]{0,4096}[\])}]?"""
)
_RULES: Final = (
    # Authorization: any scheme and its words, to the end of the line; the same for cookies
    re.compile(
        rf"""(?i)(?P<kept>(?:authorization|cookie)\\{{0,3}}["']?{_EQUALS})(?P<secret>{_ENCLOSED}|[^\r\n"']+)"""
    ),
    # "key": "value", 'key': b'value', key=value, key: value, \"key\": \"value\", ('key', 'value')
    re.compile(
        rf"""(?i)(?P<kept>(?:{_SECRETIVE}|{_WHOLE_WORD})"""
        rf"""\\{{0,3}}(?:["']?{_EQUALS}|["'],\s{{0,4}}(?=[bru]?["'])))"""
        rf"""(?P<secret>{_ENCLOSED}|(?:(?:bearer|basic)\s+)?(?!\[redacted\])[^\s"'&,;)}}\]]+)"""
    ),
    re.compile(r"(?P<kept>\b(?i:bearer|basic)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{8,})"),
    re.compile(r"(?P<kept>-----BEGIN [A-Z ]{0,40}-----)(?P<secret>[^-]{1,4096})"),
    re.compile(r"(?P<kept>)(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)"),
    re.compile(
        r"(?P<kept>)(?P<secret>\b(?:sk|pk|rk)_(?:live|test)_\w{8,}|\bgh[pousr]_\w{16,}|\bAKIA[0-9A-Z]{12,}|\bxox[abpr]-[\w-]{8,})"
    ),
)
_TRIGGERS: Final = re.compile(
    r"(?i)secret|passw|passphrase|token|sig|(?:api|access)[_-]?key|private|authorization|credential|cookie|listenkey"
    r"|session|pwd|bearer|basic|-----BEGIN|eyJ|_live_|_test_|gh[pousr]_|AKIA|xox"
)


def without_secrets(text: str) -> str:
    """`text`, cut to 4 KiB, with values of secret-looking keys, keys and tokens replaced by `[redacted]`."""
    text = text[:MAX_SCANNED]
    if _TRIGGERS.search(text) is None:
        return text
    for rule in _RULES:
        text = rule.sub(_kept_and_redacted, text)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a value under this key must not be recorded."""
    return _SECRET_KEY.fullmatch(key) is not None


_SECRET_KEY: Final = re.compile(rf"(?i)[\w.-]{{0,40}}(?:{_SECRETIVE}|{_WHOLE_WORD})")


def _kept_and_redacted(match: re.Match[str]) -> str:
    return f"{match['kept']}{REDACTED}"
