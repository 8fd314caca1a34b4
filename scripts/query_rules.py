"""Makes the reference page of all rules about queries: `python scripts/query_rules.py`.

The rules say what they look for; examples come from the data files that test them. A data file of a rule over
statements is SQL in blocks:

    -- schema postgresql              tables that the cases of this dialect know
    CREATE TABLE trades (…);
    -- rows trades 5000000            and what statistics say of them
    -- distinct trades.symbol 50
    -- hit postgresql warning: why    a statement with the finding, and its severity
    SELECT …;
    -- clean mysql raw_texts=3: why   a near miss; options go into the context
    SELECT …;

`{101 ?}` in a statement is 101 times what stands behind the number, with commas.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from tickspan.analysis.findings import Rule
from tickspan.analysis.sql.ddl import read_ddl
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Schema, Table

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs/reference/query-rules.md"
CASES: Final = ROOT / "tests/unit/analysis/sql/rules"

_HEADER: Final = re.compile(
    r"-- (?P<kind>schema|rows|distinct|hit|clean) (?P<words>[^:\n]+)(?:: (?P<note>.*))?$"
)
_REPEATED: Final = re.compile(r"\{(\d+) ([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Case:
    """One statement of a data file, and what is to be found in it."""

    rule: str
    is_hit: bool
    dialect: Dialect
    text: str
    severity: str = ""
    options: Mapping[str, int] = field(default_factory=dict[str, int])
    note: str = ""

    @property
    def sql(self) -> str:
        """The statement, its repetitions written out."""
        return _REPEATED.sub(lambda match: ", ".join([match[2]] * int(match[1])), self.text)

    @property
    def shown(self) -> str:
        """The statement for people: three of many items are enough."""
        return _REPEATED.sub(lambda match: f"{match[2]}, {match[2]}, … {match[1]} items", self.text)


@dataclass(slots=True)
class CaseFile:
    """All of one data file."""

    rule: str
    cases: list[Case] = field(default_factory=list[Case])
    definitions: dict[Dialect, str] = field(default_factory=dict[Dialect, str])
    statistics: list[tuple[Dialect, str, str, int]] = field(
        default_factory=list[tuple[Dialect, str, str, int]]
    )
    """Dialect, table, column or "", number."""

    def schema(self, dialect: Dialect) -> Schema:
        """What the cases of a dialect know of their tables."""
        schema, problems = read_ddl(self.definitions.get(dialect, ""), dialect)
        if problems:
            raise ValueError(f"{self.rule}.sql, schema {dialect}: {problems[0]}")
        numbers = [statistic[1:] for statistic in self.statistics if statistic[0] is dialect]
        return Schema(tuple(_with_statistics(table, numbers) for table in schema), schema.default_namespace)


def _with_statistics(table: Table, numbers: Sequence[tuple[str, str, int]]) -> Table:
    rows = {name: number for name, column, number in numbers if not column}
    distinct = {(name, column): float(number) for name, column, number in numbers if column}
    columns = tuple(
        replace(column, distinct=distinct.get((table.name, column.name))) for column in table.columns
    )
    return replace(table, rows=rows.get(table.name), columns=columns)


@cache
def read_cases(path: Path) -> CaseFile:
    """A data file. Raises ValueError with the line that is not understood."""
    found = CaseFile(path.stem)
    dialect = Dialect.GENERIC
    for number, header, body in _blocks(path.read_text(encoding="utf-8")):
        match = _HEADER.match(header)
        if match is None:
            raise ValueError(
                f"{path.name}:{number}: expected '-- hit|clean|schema|rows|distinct …', got '{header}'"
            )
        words = match["words"].split()
        match match["kind"]:
            case "schema":
                dialect = Dialect(words[0])
                found.definitions[dialect] = body
            case "rows" | "distinct":
                table, _, column = words[0].partition(".")
                found.statistics.append((dialect, table, column, int(words[1])))
            case kind:
                found.cases.append(_case(path.stem, kind, words, match["note"] or "", body))
    return found


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("-- ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start + 1, lines[start], "\n".join(lines[start + 1 : end]).strip()


def _case(rule: str, kind: str, words: Sequence[str], note: str, body: str) -> Case:
    options = dict(word.split("=") for word in words if "=" in word)
    severity = next((word for word in words[1:] if "=" not in word), "")
    return Case(
        rule,
        kind == "hit",
        Dialect(words[0]),
        body.removesuffix(";"),
        severity,
        {name: int(value) for name, value in options.items()},
        note,
    )


# --- examples


@dataclass(frozen=True, slots=True)
class Example:
    """What the page shows of a case."""

    is_hit: bool
    note: str
    language: str
    text: str


def _of_statements(rule: str) -> Iterator[Example]:
    for case in read_cases(CASES / f"{rule}.sql").cases:
        notes = [_OPTIONS[name].format(value) for name, value in case.options.items()]
        note = "; ".join([case.note, *notes] if case.note else notes)
        yield Example(case.is_hit, note, "sql", case.shown)


_OPTIONS: Final = {
    "raw_texts": "one of {} texts that differ in values",
    "blocks_event_loop": "run by a synchronous driver in a thread whose event loop runs",
    "has_lock_timeout": "with a lock timeout",
    "is_migration": "in a migration",
}


def _of_plans(rule: str) -> Iterator[Example]:
    path = ROOT / f"tests/unit/analysis/plans/cases/{rule}.json"
    for case in json.loads(path.read_text(encoding="utf-8")):
        yield Example(bool(case["found"]), f"{case['note']}; {case['system']}", "sql", case["sql"])


def _of_traces(rule: str) -> Iterator[Example]:
    path = ROOT / f"tests/unit/analysis/traces/data/{rule}.txt"
    for block in path.read_text(encoding="utf-8").split("\n== "):
        head, _, story = block.removeprefix("== ").partition("\n")
        kind, _, note = head.partition(" ")
        lines = [line for line in story.rstrip().splitlines() if not line.startswith("=>")]
        yield Example(kind == "hit", note, "text", "\n".join(lines))


# --- the page


@dataclass(frozen=True, slots=True)
class Section:
    """The rules of one package."""

    title: str
    introduction: Sequence[str]
    package: str
    examples: Callable[[str], Iterator[Example]] | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """In the package's order."""
        return importlib.import_module(self.package).RULES


SECTIONS: Final[tuple[Section, ...]] = (
    Section(
        "Statements",
        (
            "Seen in the text of a statement, by some with the help of a schema: `--schema FILE.sql`, or",
            "what a probe tells.",
        ),
        "tickspan.analysis.sql.rules",
        _of_statements,
    ),
    Section(
        "Plans",
        (
            'Seen in the plan that the database made: by the agent with `queries.plans = "probe"`, and by',
            "`tickspan queries explain`. `misestimate`, `planning_dominates` and `trigger_time` need a",
            "statement that was run: `explain --analyze`. `plan_regression` compares how long calls took",
            "under two plans. Only an agent that probes knows that: nothing of it is told of a file of SQL,",
            "of pg_stat_statements, by `explain`, by `auto_explain`, or where the program itself looks",
            '(`queries.mode = "thread"`).',
        ),
        "tickspan.analysis.plans.rules",
        _of_plans,
    ),
    Section(
        "Traces",
        (
            "Seen in what a trace, or a process, does. A line of an example is a span below its parent: when",
            "it starts and how long it takes, in milliseconds; `x5/10` is five times, one every 10 ms, `#*`",
            "with other parameters each time, `#a` with the same ones.",
        ),
        "tickspan.analysis.traces.rules",
        _of_traces,
    ),
)
_CATALOGS: Final = Section(
    "Catalogs",
    ("Seen in the database's own lists of indexes.",),
    "tickspan.analysis.indexes.rules",
)


def sections() -> tuple[Section, ...]:
    """Those whose package is there."""
    path = ROOT / "src" / _CATALOGS.package.replace(".", "/") / "__init__.py"
    return (*SECTIONS, _CATALOGS) if path.is_file() else SECTIONS


def page() -> str:
    """`docs/reference/query-rules.md`."""
    lines = list(_HEAD)
    for section in sections():
        lines += ["", f"## {section.title}", "", *section.introduction, "", *_TABLE]
        lines += [
            f"| [{rule.id}](#{rule.id}) | {rule.severity.letter} | {rule.title} |" for rule in section.rules
        ]
        for rule in section.rules:
            lines += ["", *_told(rule, section)]
    return "\n".join([*lines, ""])


_HEAD: Final = (
    "# Rules about queries",
    "",
    "A finding names its rule. `tickspan queries findings` lists findings with their evidence; the same come",
    "as log records of the event `tickspan.db.finding` under the resource of the application. Severities are",
    "those of OpenTelemetry: info (9), warning (13), error (17), critical (20); in a trace that places an",
    "order each is one step higher. `queries.ignore` names rules of which nothing is told.",
    "[How to use them](../how-to/queries.md).",
)


_TABLE: Final = ("| rule | | finds |", "|---|---|---|")


def _told(rule: Rule, section: Section) -> Iterator[str]:
    yield from (f"### {rule.id}", "", f"**{str(rule.severity).capitalize()}.** {rule.title}", "")
    yield f"Next step: {rule.advice}"
    examples = list(section.examples(rule.id)) if section.examples is not None else []
    for title, is_hit in (("Found", True), ("Fine", False)):
        example = next((example for example in examples if example.is_hit is is_hit), None)
        if example is not None:
            yield from ("", f"{title}{f' ({example.note})' if example.note else ''}:", "")
            yield from (f"```{example.language}", *example.text.splitlines(), "```")


def main() -> int:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
