"""Writes the reference pages that come from code: `python scripts/reference.py`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from tickspan.config import setting_keys

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    rows = [
        f"| `{key.name}` | `{key.variable}` | {_kind(key.kind)} | {_shown(key.default)} | {key.meaning} |"
        for key in setting_keys()
    ]
    return "\n".join([*_SETTINGS_HEAD, *rows, ""])


_SETTINGS_HEAD = (
    "# Settings",
    "",
    "One rule: a key `trading.quantities` is `TICKSPAN_TRADING_QUANTITIES` in the environment,",
    "`[trading] quantities` in `tickspan.toml` (the working directory's, or `TICKSPAN_CONFIG_FILE`),",
    "`distribution.tickspan.trading.quantities` in the file that `OTEL_CONFIG_FILE` names, and",
    '`tickspan.init({"trading": {"quantities": …}})` in code. Code is stronger than the environment, the',
    "environment than a file, a file than the default. `tickspan doctor --settings` shows each value and its",
    "origin.",
    "",
    "Standard variables (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_SAMPLER`, …) mean what",
    "OpenTelemetry says. A signal is exported when an endpoint is configured for it, or when",
    "`OTEL_TRACES_EXPORTER` (`_METRICS_`, `_LOGS_`) names an exporter; otherwise nothing is sent anywhere.",
    "",
    "| key | variable | kind | default | meaning |",
    "|---|---|---|---|---|",
)


_KINDS = {str: "text", bool: "true or false", int: "number", float: "number"}


def _kind(kind: Any) -> str:
    options = [option for option in get_args(kind) if option not in (type(None), ...)]
    inner = options[0] if options else kind
    if get_origin(kind) is tuple:
        return "names, with commas"
    if isinstance(inner, type) and issubclass(inner, Enum):
        return ", ".join(str(choice.value) for choice in inner)
    return _KINDS[inner]


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


PAGE_MAKERS = {"settings.md": settings_page}


def main() -> int:
    """Write all pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, make in PAGE_MAKERS.items():
        (PAGES / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
