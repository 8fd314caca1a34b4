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

_SENSITIVE: Final = (
    r"[\w.-]{0,40}(?:secret|passw(?:or)?d|passphrase|token|signature|api[_-]?key|apikey|private[_-]?key"
    r"|authorization|credential|cookie|listenkey|session[_-]?id)[\w.-]{0,40}"
)
_RULES: Final = (
    # "key": "value", 'key': 'value', key=value, key: value
    re.compile(
        rf"""(?i)(?P<kept>["']?\b(?:{_SENSITIVE}|sign|sig|pwd)["']?\s{{0,4}}[:=]\s{{0,4}})"""
        r"""(?P<secret>"[^"]{0,4096}"|'[^']{0,4096}'|(?:(?:bearer|basic)\s+)?[^\s"'&,;)}\]]+)"""
    ),
    re.compile(r"(?P<kept>\b(?i:bearer|basic)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{8,})"),
    re.compile(r"(?P<kept>-----BEGIN [A-Z ]{0,40}-----)(?P<secret>[^-]{1,4096})"),
    re.compile(r"(?P<kept>)(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)"),
    re.compile(
        r"(?P<kept>)(?P<secret>\b(?:sk|pk|rk)_(?:live|test)_\w{8,}|\bgh[pousr]_\w{16,}|\bAKIA[0-9A-Z]{12,}|\bxox[abpr]-[\w-]{8,})"
    ),
)
_TRIGGERS: Final = re.compile(
    r"(?i)secret|passw|passphrase|token|sig|api[_-]?key|private|authorization|credential|cookie|listenkey"
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


_SECRET_KEY: Final = re.compile(rf"(?i)(?:{_SENSITIVE}|sign|sig|pwd)")


def _kept_and_redacted(match: re.Match[str]) -> str:
    return f"{match['kept']}{REDACTED}"
