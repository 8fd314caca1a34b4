"""Writes the reference pages that come from code: `python scripts/reference.py`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from tickspan.cli.main import build_parser, commands
from tickspan.cli.outline import Argument, Place, Takes, outline
from tickspan.cli.statuses import COMMON, UNREAD
from tickspan.config import PRESETS, PURPOSES, setting_keys
from tickspan.presets.knobs import reason_for_start

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
    "environment than a file, a file than a preset, a preset than the default. `tickspan doctor --settings`",
    "shows each value and its origin. [Presets](presets.md) are bundles of settings.",
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
    if value in (None, (), ""):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def presets_page() -> str:
    """`docs/reference/presets.md`."""
    chosen = list(PRESETS)
    keys = [key for key in setting_keys() if any(_row(name, key.name) for name in chosen)]
    table = [f"| setting | default | {' | '.join(chosen)} | in a program that runs |"]
    table.append("|---" * (len(chosen) + 3) + "|")
    for key in keys:
        values = [_shown(row.value) if (row := _row(name, key.name)) else "" for name in chosen]
        when = reason_for_start(key.name) or "applied at once"
        table.append(f"| `{key.name}` | {_shown(key.default)} | {' | '.join(values)} | {when} |")
    reasons = [line for name in chosen for line in _reasons(name)]
    return "\n".join([*_PRESETS_HEAD, *table, *reasons, *_PRESETS_FOOT, ""])


def _row(name: str, key: str) -> Any:
    return next((row for row in PRESETS[name] if row.key == key), None)


def _reasons(name: str) -> list[str]:
    head = ["", f"## {name}", "", f"For {PURPOSES[name]}.", "", "| setting | value | why |", "|---|---|---|"]
    return [*head, *(f"| `{row.key}` | {_shown(row.value)} | {row.why} |" for row in PRESETS[name])]


_PRESETS_HEAD = (
    "# Presets",
    "",
    "A preset is a bundle of settings with a name, weaker than everything that is set otherwise. Choose one",
    "by `tickspan run --preset hft -- python bot.py`, by `TICKSPAN_PRESET=hft`, by the line",
    '`preset = "hft"` in `tickspan.toml`, or by `tickspan.init(preset="hft")`. Several may be named,',
    "`hft,debug`: the last one counts where they differ. `tickspan doctor --preset hft` shows what it would",
    "change here, `tickspan doctor --settings` what it did. `tickspan.presets.apply` changes a program that",
    "runs, as far as the last column says; see [how to choose a preset](../how-to/presets.md).",
    "",
)
_PRESETS_FOOT = (
    "",
    "## What no preset changes",
    "",
    "What leaves the process (`trading.quantities`, `stack_source`, `propagate.*`), what a venue or a",
    "database sees (`trading.stamp_client_id`, `database.sqlcommenter`), and where data goes (endpoints,",
    "`cache.url`, `logs.directory`) are decisions of their own. What presets do to a program is",
    "[measured](../explanation/measured-presets.md).",
)


_CLI_HOMES = ("tickspan.", "tickspan_desk.")


def cli_page() -> str:
    """`docs/reference/cli.md`: the verbs that come with `tickspan[desk]`."""
    ours = {command.name for command in commands() if type(command).__module__.startswith(_CLI_HOMES)}
    places = [place for place in outline(build_parser()) if place.path and place.path[0] in ours]
    common = "; ".join(f"{status} {meaning}" for status, meaning in COMMON.items())
    unread = f"{UNREAD} when nobody reads the output to its end, as before `| head`"
    lines = [*_CLI_HEAD, f"Every verb: {common}, unless it says otherwise; {unread}.", ""]
    return "\n".join([*lines, *(line for place in places for line in _of_place(place))])


def _of_place(place: Place) -> list[str]:
    level = "##" if len(place.path) == 1 else "###"
    lines = [f"{level} tickspan {' '.join(place.path)}", "", f"{_sentence(place.summary)}", ""]
    told = [one for one in place.arguments if one.meaning and "--help" not in one.names]
    if place.is_complete or told:
        lines += ["```text", place.usage, "```", ""]
    if told:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| {_argument(one)} | {_cell(one.meaning)} |" for one in told]
        lines.append("")
    if not place.is_complete:
        lines += [f"- `{name}`: {summary}" for name, summary in place.words]
        lines.append("")
    if place.epilog:
        lines += [f"{_sentence(place.epilog)}", ""]
    return lines


def _argument(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in argument.names)
    if argument.takes is Takes.NOTHING:
        return names
    value = "\\|".join(argument.words) if argument.words else argument.metavar
    return f"{names} `{value}`".strip()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


_CLI_HEAD = (
    "# Command line",
    "",
    "`tickspan VERB --help` tells the same. Whatever is told can be had as data by `--json`. Errors are one",
    "line on stderr that says what to do. `tickspan completion bash` (`zsh`, `fish`) prints a script with",
    "which the shell completes all of this.",
    "",
)

PAGE_MAKERS = {"settings.md": settings_page, "presets.md": presets_page, "cli.md": cli_page}


def main() -> int:
    """Write all pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, make in PAGE_MAKERS.items():
        (PAGES / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
