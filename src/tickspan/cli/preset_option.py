"""The option `--preset` of several verbs, and what a preset would change."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.suggestions import SuggestingAction
from tickspan.config import PRESETS, Reading, read_settings, rows_of, setting_keys

__all__ = ["add_preset_option", "known_presets", "preset_difference"]

_VARIABLE: Final = "TICKSPAN_PRESET"


def add_preset_option(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare it."""
    parser.add_argument(
        "--preset",
        action=SuggestingAction,
        suggestions=PRESETS,
        metavar="NAME",
        help=f"{summary}: {', '.join(PRESETS)}; or several: hft,debug",
    )


def known_presets(text: str) -> list[str]:
    """Names with commas between them. Raises `CommandError` for one that is unknown."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        list(rows_of(names))
    except ValueError as error:
        raise CommandError(f"--preset: {error}") from None
    return names


def preset_difference(names: Sequence[str], environ: Mapping[str, str], *, is_json: bool) -> str:
    """What becomes of each setting of presets here: from what to what, and why it stays where it does."""
    now = read_settings(environ=environ)
    then = read_settings(environ={**environ, _VARIABLE: ",".join(names)}, overrides={"preset": list(names)})
    rows = {row.key: row for _, row in rows_of(names)}
    table = [_entry(key, row.why, now, then) for key, row in rows.items()]
    if is_json:
        return json.dumps({"presets": list(names), "settings": table}, indent=2)
    width = max(len(entry["key"]) for entry in table)
    return "\n".join(_line(entry, width) for entry in table)


def _entry(key: str, why: str, now: Reading, then: Reading) -> dict[str, Any]:
    known = {setting.name: setting for setting in setting_keys()}[key]
    return {
        "key": key,
        "now": known.value_in(now.settings),
        "then": known.value_in(then.settings),
        "origin": str(then.origins[key]),
        "why": why,
    }


def _line(entry: Mapping[str, Any], width: int) -> str:
    key = entry["key"].ljust(width)
    now, then = _shown(entry["now"]), _shown(entry["then"])
    if now != then:
        return f"{key}  {now} -> {then}  {entry['why']}"
    if str(entry["origin"]).startswith("preset"):
        return f"{key}  {now} already  {entry['why']}"
    return f"{key}  {now} stays: {entry['origin']} is stronger"


def _shown(value: Any) -> str:
    """As a settings file would have it; nothing is `none`."""
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
