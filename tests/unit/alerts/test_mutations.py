"""Rule files with one mistake each: the right path and line every time, and the neighbours stay."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.alerts.file import catalogue_facts
from tickspan.alerts.text import TextError, read_toml, read_yaml
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.document import read
from tickspan.analysis.rules.problems import Place, told_place
from tickspan.analysis.rules.schema import COMMON, KINDS, Key
from tickspan.analysis.rules.sessions import SessionPlan

WHOLE = """
version: "1"
calendars:
  desk: {tz: Europe/Zurich, days: mon-fri, open: "08:00", close: "22:00", holidays: ["2026-12-25"]}
notifiers:
  pager: {type: alertmanager, urls: ["http://127.0.0.1:9093"]}
metrics:
  desk.trades: {kind: counter, unit: "{trade}", attributes: [desk.book]}
slos:
  - apiVersion: openslo/v1
    kind: SLO
    metadata: {name: acks}
    spec:
      service: oms
      indicator:
        spec: {thresholdMetric: {metricSource: {type: tickspan, spec: {metric: trading.wire_to_ack}}}}
      objectives: [{target: "0.99", op: lte, value: 200ms}]
rules:
  - &common
    name: Threshold
    kind: threshold
    metric: trading.order.duration
    where: {trading.order.type: market}
    by: [trading.venue.name]
    scope: process
    stat: p95
    window: 1m
    condition: gt
    threshold: 100ms
    clear: 80ms
    for: 10s
    keep_firing_for: 30s
    min_count: "20"
    no_data: ok
    session: desk
    warmup: 5m
    severity: warning
    owner: auto
    limit: "50"
    notify: [pager]
    labels: {team: execution}
    annotations: {summary: "{{ value }}"}
  - name: Ratio
    kind: ratio
    numerator: {metric: trading.order.rejects, where: {trading.order.type: market}}
    denominator: {metric: trading.order.operations}
    window: 5m
    condition: gt
    threshold: 5%
    clear: 2%
    min_count: "20"
    no_data: fire
  - name: Absent
    kind: absent
    metric: trading.feed.messages
    by: [trading.venue.name]
    window: 30s
    known_for: 1h
    expect: [[binance]]
  - name: LogEvent
    kind: event
    event: trading.order.unsafe_retry
    where: {trading.venue.name: binance}
    count: "2"
    window: 5m
  - name: SpanEvent
    kind: event
    span: trading.order.submit binance
    status: error
    min_duration: 100ms
  - name: Change
    kind: change
    metric: trading.feed.messages
    stat: rate
    window: 15m
    baseline: 1d
    condition: lt
    threshold: 50%
  - name: Forecast
    kind: forecast
    metric: process.memory.usage
    stat: avg
    window: 30m
    horizon: 2h
    threshold: 2GiB
  - name: Slo
    kind: slo
    slo: acks
    burn: page
    min_count: "20"
  - name: OwnWindows
    kind: slo
    slo: acks
    windows: [{factor: "10", long: 2h, short: 10m}]
"""
DOCUMENT: dict[str, Any] = yaml.load(WHOLE, Loader=yaml.BaseLoader)
NAMES = [rule["name"] for rule in DOCUMENT["rules"]]
FREE = {"annotations", "labels", "event", "span"}
"""Keys whose text may be anything."""
NAMED = {"name", "by"}
"""Keys whose text may be any name."""
NONSENSE = ("", "?", "-1 parsec", "NaN", "x" * 5000, {"x": {"y": ["z"]}}, [{"x": "y"}])


class Mutation(NamedTuple):
    document: dict[str, Any]
    place: Place
    key: str


def value_mutations() -> Iterator[Mutation]:
    """Nonsense for each key of each rule."""
    for number, rule in enumerate(DOCUMENT["rules"]):
        for key in rule:
            for nonsense in NONSENSE:
                is_fine = (key in FREE and isinstance(nonsense, str)) or (key in NAMED and nonsense == "NaN")
                if not is_fine:
                    changed = copy.deepcopy(DOCUMENT)
                    changed["rules"][number][key] = nonsense
                    yield Mutation(changed, ("rules", number, key), key)


def misspellings() -> Iterator[Mutation]:
    """Two slips of the pen for each key of each rule."""
    for number, rule in enumerate(DOCUMENT["rules"]):
        for key in rule:
            for slip in (f"{key}_", key[::-1] + "x"):
                changed = copy.deepcopy(DOCUMENT)
                changed["rules"][number] = {slip if name == key else name: rule[name] for name in rule}
                yield Mutation(changed, ("rules", number, slip), slip)


def omissions() -> Iterator[Mutation]:
    """Required keys that are not there."""
    for number, rule in enumerate(DOCUMENT["rules"]):
        required: tuple[Key, ...] = (*COMMON, *KINDS[rule["kind"]].keys)
        for key in required:
            if key.is_required:
                changed = copy.deepcopy(DOCUMENT)
                del changed["rules"][number][key.name]
                yield Mutation(changed, ("rules", number), next(iter(changed["rules"][number])))


MUTATIONS = [*value_mutations(), *misspellings(), *omissions()]


def one_session(name: str, plan: SessionPlan) -> Calendar:
    """A calendar that is made at once: sessions of 25 years are not what is looked at here."""
    return Calendar(name, (0.0,), (1.0,))


def read_text(text: str) -> tuple[list[str], list[Any]]:
    """Names of the rules that are left, and the problems."""
    document = read_yaml(text)[0]
    rules, problems = read(
        document.value, catalogue_facts(), "alerts.yaml", document.lines, calendar=one_session
    )
    return [rule.name for rule in rules.rules], list(problems)


def test_the_whole_file_has_no_problem() -> None:
    assert read_text(WHOLE) == (NAMES, [])
    assert len(MUTATIONS) >= 500


@pytest.mark.parametrize("part", range(8))
def test_each_mistake_has_its_path_and_line_and_costs_one_rule_only(part: int) -> None:
    wrong: list[object] = []
    for mutation in MUTATIONS[part::8]:
        text = yaml.safe_dump(mutation.document, sort_keys=False, width=10_000)
        names, problems = read_text(text)
        number = mutation.place[1]
        path = told_place(mutation.place)
        lines = text.splitlines()
        is_right = (
            any(problem.path.startswith(path) for problem in problems)
            and all(problem.path.startswith(f"rules[{number}]") for problem in problems)
            and names == [name for index, name in enumerate(NAMES) if index != number]
            and all("\n" not in str(problem) and len(str(problem)) < 1000 for problem in problems)
            and any(
                problem.path.startswith(path)
                and any(mutation.key in line for line in lines[problem.line - 2 : problem.line])
                for problem in problems
            )
        )
        if not is_right:
            wrong.append((mutation.place, names, [str(problem) for problem in problems]))
    assert wrong == []


def test_a_file_that_lost_or_won_letters_never_raises_and_problems_stand_on_its_lines() -> None:
    chance = random.Random(7)
    outside: list[object] = []
    for _ in range(500):
        letters = list(WHOLE)
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(len(letters))
            letters[position : position + chance.randint(0, 3)] = chance.choice(
                ["", "\n", "  ", ":", "[", "}", "'", "- ", "&a ", "*a ", "!x ", "\0", "é", "9" * 40, "<<: "]
            )
        text = "".join(letters)
        with suppress(TextError):
            _, problems = read_text(text)
            count = len(text.splitlines()) + 1
            outside += [problem for problem in problems if not 1 <= problem.line <= count]
    assert outside == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted(key.name for key in COMMON)) | st.text(max_size=5),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["version", "include", "without", "thresholds", "calendars", "notifiers", "metrics", "slos"]
        ),
        JSON,
    ),
    st.lists(
        JSON
        | st.fixed_dictionaries(
            {"name": st.just("A"), "kind": st.sampled_from(sorted(KINDS))},
            optional={key.name: JSON for kind in KINDS.values() for key in kind.keys},
        ),
        max_size=4,
    ),
)
def test_no_document_raises(sections: dict[str, Any], rules: list[Any]) -> None:
    read({**sections, "rules": rules}, catalogue_facts(), calendar=one_session)


def test_mistakes_in_toml_have_their_path_and_no_line() -> None:
    text = '[[rules]]\nname = "A"\nmetric = "trading.feed.staleness"\nthreshold = 5\nwindow = 5\n'
    _, problems = read(read_toml(text).value, catalogue_facts(), "alerts.toml")
    assert [str(problem) for problem in problems] == [
        "alerts.toml rules[0].window: expected a duration like '5s', got 5"
    ]
