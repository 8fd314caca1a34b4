"""The template: a text with names in double braces, `{{ value }}`, `{{ labels.trading_venue_name }}`.

There is no logic in it. What a notifier is sent must not depend on more than the alert itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["render"]

_NAME: Final = re.compile(r"\{\{\s*\$?([A-Za-z_][\w.]*)\s*\}\}")
_LONGEST: Final = 4096


def render(template: str, words: Mapping[str, str]) -> str:
    """The text with its names replaced, cut after 4,096 letters.

    A label that the alert does not have is empty, as in Prometheus; any other unknown name stays.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        return words.get(name, "" if name.startswith("labels.") else match[0])

    return _NAME.sub(replaced, template)[:_LONGEST]
