"""Makes the reference page of the rule file: `python scripts/alert_rules.py`.

It says what the schema says by which files are read, and which rules the default pack has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tickspan.alerts.file import DEFAULT_PACK, load_rules
from tickspan.analysis.rules import schema
from tickspan.analysis.rules.model import Rule
from tickspan.analysis.rules.schema import Key

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs/reference/alert-rules.md"

_HEAD: Final = """\
# Rule files

What a rule file may say. [How to use them](../how-to/alerts.md). This page is written from the schema by
which files are read (`make reference`).

A file is TOML (`alerts.toml`, nothing to install) or YAML (`alerts.yaml`, needs `tickspan[alerts]`). It is
looked for where `TICKSPAN_ALERTS_FILE` says, else beside the configuration. `tickspan alerts check FILE`
tells every problem with its line and path. A rule with a problem is left out, the others stay; with
`TICKSPAN_ALERTS_STRICT=1` any problem is an error at the start.

- Scalars of YAML are read as text and converted by this schema: `close: 22:00` is a time, `NO` a text.
- Durations: `250ms`, `5s`, `1m30s`, `1h`, `1d`, `1w`; 0 needs no unit.
- Numbers: without a unit they are in the unit of the value; `ms`, `us`, `s`, `min`, `h`, `kB`, `MB`, `KiB`,
  `MiB`, `GiB` and `%` are converted, rates by `/s`, `/min`, `/h`.
- A key that is given twice, a tag, more than 32 levels, 100,000 values or 1 MiB are problems. `<<` merges
  mappings.
"""

_SLO: Final = """\
## OpenSLO

`slos` holds documents of `apiVersion: openslo/v1`, kinds `SLO` and `SLI`; a file of such documents can be
included, or read as a rule file itself. An objective that no rule of kind `slo` names gives two rules,
`NamePage` (critical) and `NameTicket` (warning).

| part | what is read |
|---|---|
| `metadata.name`, `spec.service` | both; they become `sloth_slo` and `sloth_service` of recorded series |
| `spec.indicator`, `indicatorRef` | `ratioMetric`: `total`, `good` or `bad`; `thresholdMetric`: a histogram |
| `metricSource` | `type: tickspan`, `spec: {metric: …, where: {…}}`, written as in rules |
| `spec.objectives` | one, with `target` or `targetPercent`; `thresholdMetric`: also `op: lte` and `value` |
| `spec.timeWindow` | one rolling window, `30d` if none is given |
| `spec.budgetingMethod` | `Occurrences` |

With 30 days, a page is 14.4 times the sustainable rate over 1 h and 5 min, or 6 times over 6 h and 30 min;
a ticket is 3 times over 1 d and 2 h, or once over 3 d and 6 h. Other periods keep these windows, and the
factors are scaled with the period, never below 1: the same part of the budget is gone when the alert fires.
A `value` between two bounds of explicit buckets is a problem that names the bounds beside it.

```yaml
slos:
  - apiVersion: openslo/v1
    kind: SLO
    metadata: {name: order-acks}
    spec:
      service: oms
      description: Orders are acknowledged within 200 ms.
      timeWindow: [{duration: 30d, isRolling: true}]
      indicator:
        metadata: {name: order-acks}
        spec:
          thresholdMetric:
            metricSource:
              type: tickspan
              spec: {metric: trading.wire_to_ack, where: {trading.order.operation: submit}}
      objectives: [{target: 0.99, op: lte, value: 200ms}]
```
"""


def page() -> str:
    """`docs/reference/alert-rules.md`."""
    parts = [_HEAD, _section("The file", schema.TOP, "`include`, `rules` or `slos` are enough.")]
    parts.append(_section("Every rule", schema.COMMON, "Keys of all kinds."))
    for name, kind in schema.KINDS.items():
        parts.append(_section(f"Kind {name}", kind.keys, kind.meaning))
        parts.append("\n".join(["```yaml", "rules:", *_indented(kind.example), "```", ""]))
    parts.append(_section("Windows of a slo rule", schema.BURN_WINDOW, "Entries of `windows`."))
    parts.append(_section("Calendars", schema.CALENDAR, "Either `mic`, or hours of a week."))
    parts.append(_section("Metrics", schema.METRIC, "Entries of `metrics`: of a program's own instruments."))
    parts.append("## Notifiers\n\n`type` is one of the following; secrets stand in files or variables.\n")
    for name, keys in schema.NOTIFIERS.items():
        parts.append(_section(name, keys, "", level=3))
    parts.append(_SLO)
    parts.append(_pack(load_rules(DEFAULT_PACK).rules))
    return "\n".join(parts)


def _indented(example: str) -> Iterator[str]:
    first, *rest = example.rstrip().splitlines()
    yield f"  - {first}"
    yield from (f"    {line}" for line in rest)


def _section(title: str, keys: Iterable[Key], introduction: str, level: int = 2) -> str:
    lines = [f"{'#' * level} {title}", ""]
    if introduction:
        lines += [introduction, ""]
    rows = [_row(key) for key in keys]
    if rows:
        lines += ["| key | value | default | |", "|---|---|---|---|", *rows, ""]
    else:
        lines += ["No options.", ""]
    return "\n".join(lines)


def _row(key: Key) -> str:
    default = "required" if key.is_required else f"`{key.default}`" if key.default else ""
    return f"| `{key.name}` | {key.form.told} | {default} | {key.meaning} |"


def _pack(rules: Iterable[Rule]) -> str:
    lines = [
        "## The default pack",
        "",
        "`include: default`. Each rule has a [runbook](../runbooks/README.md); other numbers by",
        "`alerts.thresholds` or `thresholds`.",
        "",
        "| rule | severity | scope | reads |",
        "|---|---|---|---|",
    ]
    for rule in rules:
        read = ", ".join(dict.fromkeys(f"`{selector.metric}`" for selector in rule.selectors))
        source = read or f"event `{getattr(rule.expression, 'name', '')}`"
        link = f"[{rule.name}](../runbooks/{rule.name}.md)"
        lines.append(f"| {link} | {rule.severity} | {rule.scope} | {source} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
