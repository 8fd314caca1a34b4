"""Each rule, by stories in `data/RULE.txt`: spans that it finds something in, and some that nearly are alike.

A story is `== hit NAME` or `== clean NAME`, then spans, one a line and indented below their parents:
`START DURATION [xTIMES/EVERY] TEXT [#HASH] [{key=value ...}]`, in milliseconds, starts counted from the
parent's. A text that begins as SQL does is a database call; COMMIT and ROLLBACK are calls without a text;
`HTTP GET` is a client's span. `#*` is another hash each time, `*` in a value the number of the repetition.
A line `=> SEVERITY LOST MESSAGE` is what the rule says, with the milliseconds lost.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.traces import CLIENT, RULES, Connections, Examination, SeenSpan, Sighting, Value
from tickspan.semconv import code, db
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.foreign import HTTP_REQUEST_METHOD

DATA = Path(__file__).parent / "data"
LINE = re.compile(
    r"(?P<indent> *)(?P<start>[\d.]+) (?P<duration>[\d.]+) (?:x(?P<times>\d+)/(?P<every>[\d.]+) )?"
    r"(?P<text>.*?)(?: #(?P<hash>\S+))?(?: \{(?P<given>.*)\})?"
)
POOL = re.compile(r"pool (\w+) creates=(\d+) checkouts=(\d+) create=([\d.]+)")
SQL = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|WITH) ")
KEYS = {
    "tx": db.TICKSPAN_DB_TRANSACTION_ID,
    "statements": db.TICKSPAN_DB_TRANSACTION_STATEMENTS,
    "writes": db.TICKSPAN_DB_TRANSACTION_WRITES,
    "duration": db.TICKSPAN_DB_TRANSACTION_DURATION,
    "idle": db.TICKSPAN_DB_TRANSACTION_IDLE,
    "idle_max": db.TICKSPAN_DB_TRANSACTION_IDLE_MAX,
    "rows": db.DB_RESPONSE_RETURNED_ROWS,
    "affected": db.TICKSPAN_DB_ROWS_AFFECTED,
    "batch": db.DB_OPERATION_BATCH_SIZE,
    "fetch": db.TICKSPAN_DB_FETCH_DURATION,
    "wait": db.TICKSPAN_DB_POOL_WAIT,
    "orm": db.TICKSPAN_DB_ORM_PATH,
    "code": db.DB_RESPONSE_STATUS_CODE,
    "error": ERROR_TYPE,
    "system": db.DB_SYSTEM_NAME,
    "line": code.CODE_LINE_NUMBER,
}
START_NS = 1_700_000_000 * 10**9
MS = 10**6


@dataclass(slots=True)
class Told:
    """A line of a story, with those below it."""

    start_ms: float
    duration_ms: float
    times: int
    every_ms: float
    text: str
    hash: str | None
    given: dict[str, str]
    below: list[Told] = field(default_factory=list["Told"])


@dataclass(slots=True)
class Story:
    """What happens, and what is to be found in it."""

    rule: str
    kind: str
    name: str
    lines: list[str] = field(default_factory=list[str])
    found: list[str] = field(default_factory=list[str])
    pools: list[Connections] = field(default_factory=list[Connections])


def stories() -> Iterator[Story]:
    for path in sorted(DATA.glob("*.txt")):
        story = None
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("== "):
                if story is not None:
                    yield story
                _, kind, name = line.split(" ", 2)
                story = Story(path.stem, kind, name)
            elif story is not None and line.startswith("=> "):
                story.found.append(line[3:])
            elif story is not None and (pool := POOL.fullmatch(line)):
                story.pools.append(Connections(pool[1], int(pool[2]), int(pool[3]), float(pool[4]), START_NS))
            elif story is not None and line.strip() and not line.startswith("--"):
                story.lines.append(line)
        assert story is not None, f"{path} tells nothing"
        yield story


def roots_of(lines: list[str]) -> list[Told]:
    roots: list[Told] = []
    path: list[tuple[int, list[Told]]] = [(-1, roots)]
    for line in lines:
        read = LINE.fullmatch(line)
        assert read is not None, f"not a span: {line!r}"
        given = dict(pair.split("=", 1) for pair in (read["given"] or "").split())
        told = Told(
            float(read["start"]),
            float(read["duration"]),
            int(read["times"] or 1),
            float(read["every"] or 0),
            read["text"],
            read["hash"],
            given,
        )
        while path[-1][0] >= len(read["indent"]):
            path.pop()
        path[-1][1].append(told)
        path.append((len(read["indent"]), told.below))
    return roots


class Teller:
    """Spans of a story, in the order in which they end."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._hashes = itertools.count(1)

    def spans(self, roots: list[Told]) -> Iterator[list[SeenSpan]]:
        for root in roots:
            for turn in range(root.times):
                trace_id = next(self._ids)
                yield list(self._of(root, turn, trace_id, 0, START_NS))

    def _of(self, told: Told, turn: int, trace_id: int, parent_id: int, since_ns: int) -> Iterator[SeenSpan]:
        span_id = next(self._ids)
        start_ns = since_ns + round((told.start_ms + turn * told.every_ms) * MS)
        for below in told.below:
            for inner in range(below.times):
                number = inner if below.times > 1 else turn
                yield from self._of_turn(below, inner, number, trace_id, span_id, start_ns)
        end_ns = start_ns + round(told.duration_ms * MS)
        attributes, kind = self._attributes(told, turn)
        is_root = not parent_id
        yield SeenSpan(trace_id, span_id, parent_id, start_ns, end_ns, told.text, kind, attributes, is_root)

    def _of_turn(
        self, told: Told, inner: int, number: int, trace_id: int, parent_id: int, since_ns: int
    ) -> Iterator[SeenSpan]:
        moved = Told(
            told.start_ms + inner * told.every_ms,
            told.duration_ms,
            1,
            0.0,
            told.text,
            told.hash,
            {key: value.replace("*", str(number)) for key, value in told.given.items()},
            told.below,
        )
        yield from self._of(moved, number, trace_id, parent_id, since_ns)

    def _attributes(self, told: Told, turn: int) -> tuple[dict[str, Value], int]:
        given = {KEYS[key]: _number(value.replace("*", str(turn))) for key, value in told.given.items()}
        if SQL.match(told.text):
            statement = canonicalise(told.text, Dialect.POSTGRESQL)
            given.setdefault(db.DB_SYSTEM_NAME, "postgresql")
            given[db.DB_QUERY_TEXT] = statement.text
            if told.hash:
                given[db.TICKSPAN_DB_PARAMS_HASH] = told.hash.replace("*", f"*{next(self._hashes)}")
            return given, CLIENT
        if told.text in {"COMMIT", "ROLLBACK"}:
            given.setdefault(db.DB_SYSTEM_NAME, "postgresql")
            return {**given, db.DB_OPERATION_NAME: told.text}, CLIENT
        if told.text.startswith("HTTP "):
            return {**given, HTTP_REQUEST_METHOD: told.text[5:]}, CLIENT
        return given, CLIENT if told.text.startswith("trading.order") else 1


def _number(text: str) -> Value:
    if re.fullmatch(r"\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"\d*\.\d+", text) else text


def found_in(story: Story) -> tuple[list[Sighting], Examination]:
    examination = Examination()
    found: list[Sighting] = []
    for spans in Teller().spans(roots_of(story.lines)):
        for span in spans:
            trace = examination.add(span, 0.0)
            if trace is not None:
                found += examination.judge(trace)
    found += examination.judge_pools(story.pools)
    return found, examination


def as_told(sighting: Sighting) -> str:
    finding = sighting.finding
    return f"{finding.severity.letter} {sighting.time_lost_s * 1e3:.3f} {finding.message}"


@pytest.mark.parametrize(
    "story", list(stories()), ids=lambda story: f"{story.rule}-{story.kind}-{story.name}"
)
def test_a_rule_finds_what_its_stories_tell_and_nothing_else(story: Story) -> None:
    found, examination = found_in(story)
    said = [as_told(one) for one in found if one.finding.rule == story.rule]
    assert (said, examination.faulty) == (story.found, [])
    assert (story.kind, bool(said)) in {("hit", True), ("clean", False)}


def test_every_rule_has_three_hits_and_three_that_nearly_are() -> None:
    told = [(story.rule, story.kind) for story in stories()]
    wanted = [(rule.id, kind) for rule in RULES for kind in ("hit", "clean")]
    few = {pair for pair in wanted if told.count(pair) < 3}
    assert few == set()
