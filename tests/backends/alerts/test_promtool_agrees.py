"""Our evaluation and Prometheus's tell the same of the same rules and series, at every evaluation.

Rules and series are generated. Points come when rules are evaluated, and counters stand still for a window
first: in between, and in a window that is not full, Prometheus extrapolates, and our engine does not.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml

from tickspan.analysis.rules import evaluation
from tickspan.analysis.rules.compile.expressions import session_metric
from tickspan.analysis.rules.compile.prometheus import compile_rules
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Change,
    Condition,
    Expression,
    Forecast,
    Labels,
    NoData,
    Ratio,
    Rule,
    Scope,
    Selector,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.notation import label_set, samples
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.trial import observe
from tickspan.analysis.rules.unit_tests import GivenSeries, UnitTest, UnitTests, promtool_document

pytestmark = pytest.mark.backends

PAIRS = 1_200
BATCH = 100
STEP_S = 15
LENGTH = 44
WINDOWS_S = (30, 60, 90, 120)
FLAT = max(WINDOWS_S) // STEP_S + 1
VENUES = ("kraken", "binance")
TIMES = tuple(float(number * STEP_S) for number in range(LENGTH))
SESSION = "us"


@dataclass(frozen=True, slots=True)
class Pair:
    """A rule, what is known of its metrics, and their series as promtool writes them."""

    rule: Rule
    facts: tuple[MetricFact, ...]
    series: tuple[tuple[str, str], ...]


class Generator:
    """Makes pairs; the same ones from the same seed."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.number = number

    def pair(self) -> Pair:
        make = self.random.choice([*[self.level, self.counter, self.histogram] * 2, *self.compared()])
        return make()

    def compared(self) -> tuple[Callable[[], Pair], ...]:
        return (self.ratio, self.level_ratio, self.absent, self.change, self.forecast, self.burn)

    def level(self) -> Pair:
        stat = Stat(self.random.choice((StatName.LAST, StatName.AVG, StatName.MIN, StatName.MAX)))
        fact = self.fact(MetricKind.GAUGE, "", "level")
        threshold = self.random.choice((3, 5)) + (0.37 if stat.name is StatName.AVG else 0)
        rule = self.rule(Threshold(Selector(fact.name), stat), threshold)
        if stat.name is StatName.LAST and self.random.random() < 0.3:
            return self.in_session(rule, fact)
        return Pair(
            replace(rule, no_data=self.random.choice((NoData.OK, NoData.OK, NoData.FIRE))),
            (fact,),
            self.each("level", self.walk),
        )

    def in_session(self, rule: Rule, fact: MetricFact) -> Pair:
        """Without gaps: our windows do not reach back over the opening."""
        rule = replace(rule, session=SESSION, warmup_s=self.random.choice((0.0, 30.0)))
        return Pair(rule, (fact,), self.each("level", lambda: self.walk(gaps=0.0)))

    def counter(self) -> Pair:
        stat = Stat(self.random.choice((StatName.RATE, StatName.INCREASE)))
        fact = self.fact(MetricKind.COUNTER, "{message}", "count")
        threshold = 6 if stat.name is StatName.INCREASE else 0.1
        rule = replace(
            self.rule(Threshold(Selector(fact.name), stat), threshold),
            min_count=self.random.choice((0, 0, 4)),
            no_data=self.random.choice((NoData.OK, NoData.OK, NoData.FIRE)),
        )
        return Pair(rule, (fact,), self.each("count_total", self.growth))

    def histogram(self) -> Pair:
        stat = self.random.choice(
            (
                Stat(StatName.QUANTILE, 0.5),
                Stat(StatName.QUANTILE, 0.95),
                Stat(StatName.AVG),
                Stat(StatName.COUNT),
                Stat(StatName.RATE),
            )
        )
        fact = self.fact(MetricKind.HISTOGRAM, "s", "duration")
        threshold = {StatName.COUNT: 6, StatName.RATE: 0.1}.get(
            stat.name, self.random.choice((0.1713, 0.391))
        )
        rule = replace(
            self.rule(Threshold(Selector(fact.name), stat), threshold),
            min_count=self.random.choice((0, 4)),
            no_data=self.random.choice((NoData.OK, NoData.OK, NoData.FIRE)),
        )
        return Pair(rule, (fact,), tuple(self.measured("duration_seconds")))

    def ratio(self) -> Pair:
        bad, total = self.fact(MetricKind.COUNTER, "", "bad"), self.fact(MetricKind.COUNTER, "", "all")
        rule = self.rule(Ratio(Selector(bad.name), Selector(total.name)), self.random.choice((0.25, 0.5)))
        rule = replace(rule, min_count=self.random.choice((0, 5)))
        names = [self.metric("bad_total"), self.metric("all_total")]
        sets = self.label_sets()
        given = [sets[: self.random.randint(0, len(sets))], sets]
        return Pair(
            rule,
            (bad, total),
            tuple(
                (f"{name}{labels}", self.growth(may_end=False))
                for name, of_it in zip(names, given, strict=True)
                for labels in of_it
            ),
        )

    def level_ratio(self) -> Pair:
        used, limit = (
            self.fact(MetricKind.UPDOWNCOUNTER, "By", "used"),
            self.fact(MetricKind.GAUGE, "By", "limit"),
        )
        stat = Stat(self.random.choice((StatName.LAST, StatName.MAX)))
        rule = self.rule(Ratio(Selector(used.name), Selector(limit.name), stat), 0.7)
        names = [self.metric("used_bytes"), self.metric("limit_bytes")]
        return Pair(
            rule,
            (used, limit),
            tuple((f"{name}{labels}", self.walk()) for name in names for labels in self.label_sets()),
        )

    def absent(self) -> Pair:
        fact = self.fact(MetricKind.COUNTER, "", "tick")
        rule = self.rule(Absent(Selector(fact.name), known_for_s=240.0), 0)
        rule = replace(rule, condition=Condition.GT, clear=None)
        return Pair(rule, (fact,), self.each("tick_total", self.gaps))

    def change(self) -> Pair:
        fact = self.fact(MetricKind.GAUGE, "", "level")
        stat = Stat(self.random.choice((StatName.AVG, StatName.MAX)))
        rule = self.rule(Change(Selector(fact.name), stat, baseline_s=120.0), 1.37)
        return Pair(rule, (fact,), self.each("level", lambda: self.walk(gaps=0.0)))

    def forecast(self) -> Pair:
        fact = self.fact(MetricKind.GAUGE, "", "level")
        stat = Stat(self.random.choice((StatName.LAST, StatName.AVG)))
        rule = self.rule(Forecast(Selector(fact.name), stat, horizon_s=60.0), 7.1317)
        return Pair(rule, (fact,), self.each("level", lambda: self.walk(gaps=0.0)))

    def burn(self) -> Pair:
        windows = (BurnWindow(4.0, 90.0, 30.0), BurnWindow(2.0, 120.0, 60.0))
        if self.random.random() < 0.5:
            fact = self.fact(MetricKind.HISTOGRAM, "s", "duration")
            selector = Selector(fact.name)
            slow = Burn(f"slo{self.number}", "bot", selector, 0.93, windows, slower_than=0.25)
            return Pair(self.burning(slow), (fact,), tuple(self.measured("duration_seconds")))
        judged, total = self.fact(MetricKind.COUNTER, "", "judged"), self.fact(MetricKind.COUNTER, "", "all")
        is_bad = self.random.random() < 0.5
        expression = Burn(
            f"slo{self.number}",
            "bot",
            Selector(total.name),
            0.93,
            windows,
            errors=Selector(judged.name) if is_bad else None,
            good=None if is_bad else Selector(judged.name),
        )
        names = [self.metric("judged_total"), self.metric("all_total")]
        return Pair(
            self.burning(expression),
            (judged, total),
            tuple(
                (f"{name}{labels}", self.growth(may_end=False))
                for name in names
                for labels in self.label_sets()
            ),
        )

    def burning(self, burn: Burn) -> Rule:
        rule = replace(self.rule(burn, 1), condition=Condition.GT, clear=None)
        return replace(rule, scope=Scope.SERVICE, by=(), min_count=self.random.choice((0, 3)))

    def rule(self, expression: Expression, threshold: float) -> Rule:
        condition = self.random.choice((*Condition, Condition.GT, Condition.GT, Condition.LT))
        clear = None
        if condition.looks_up and self.random.random() < 0.4:
            clear = threshold * 0.6
        elif condition in {Condition.LT, Condition.LE} and self.random.random() < 0.4:
            clear = threshold * 1.5
        return Rule(
            f"Rule{self.number}",
            expression,
            condition,
            float(threshold),
            clear,
            by=self.random.choice(((), ("trading.venue.name",))),
            scope=self.random.choice(tuple(Scope)),
            window_s=float(self.random.choice(WINDOWS_S)),
            for_s=float(self.random.choice((0, 0, 15, 30, 40))),
            keep_firing_for_s=float(self.random.choice((0, 0, 30, 50))),
        )

    def fact(self, kind: MetricKind, unit: str, name: str) -> MetricFact:
        return MetricFact(f"test.m{self.number}.{name}", kind, unit)

    def metric(self, name: str) -> str:
        return f"test_m{self.number}_{name}"

    def each(self, name: str, values: Callable[[], str]) -> tuple[tuple[str, str], ...]:
        return tuple((f"{self.metric(name)}{labels}", values()) for labels in self.label_sets())

    def label_sets(self) -> list[str]:
        instances = self.random.sample(("a", "b"), self.random.randint(1, 2))
        venues = self.random.sample(VENUES, self.random.randint(1, 2))
        return [
            f'{{job="bot", instance="{instance}", host_name="h", trading_venue_name="{venue}"}}'
            for instance in instances
            for venue in venues
        ]

    def walk(self, gaps: float = 0.15) -> str:
        """A gauge that goes up and down between 0 and 10, with gaps."""
        level, written = self.random.randint(0, 10), list[str]()
        while len(written) < LENGTH:
            level = min(10, max(0, level + self.random.randint(-3, 3)))
            written.append(str(level))
            if self.random.random() < gaps / 3:
                written += [self.random.choice(("_", "_", "stale"))] * self.random.randint(1, 9)
        return " ".join(written[:LENGTH])

    def growth(self, *, may_end: bool = True) -> str:
        """A counter that stands still at first, then grows by fits and starts; some are reset, or end."""
        steps = self.steps()
        reset = self.random.randrange(FLAT, LENGTH) if self.random.random() < 0.3 else LENGTH
        value, written = self.random.randint(1, 50), list[str]()
        for number, step in enumerate(steps):
            value = value + step if number != reset else self.random.randint(1, 9)
            written.append(str(value))
        if may_end and self.random.random() < 0.2:
            end = self.random.randrange(FLAT, LENGTH - FLAT)
            written = [*written[:end], *[written[end]] * FLAT]
        return " ".join(written)

    def steps(self) -> list[int]:
        busy = self.random.random()
        later = [
            self.random.choice((0, 1, 1, 2, 5)) * (self.random.random() < busy) for _ in range(LENGTH - FLAT)
        ]
        return [0] * FLAT + later

    def gaps(self) -> str:
        written: list[str] = []
        while len(written) < LENGTH:
            written += [str(len(written))] * self.random.randint(1, 12) + ["_"] * self.random.randint(0, 20)
        return " ".join(written[:LENGTH])

    def measured(self, name: str) -> Iterator[tuple[str, str]]:
        """A histogram, of one of the two kinds."""
        is_native = self.random.random() < 0.5
        for labels in self.label_sets():
            columns = [list(accumulate(self.steps())) for _ in range(3)]
            yield from (self.native if is_native else self.classic)(self.metric(name), labels, columns)

    def native(self, name: str, labels: str, columns: Sequence[Sequence[int]]) -> Iterator[tuple[str, str]]:
        """Schema 0: the buckets end at 0.25, 0.5 and 1."""
        values = [
            f"{{{{schema:0 count:{sum(row) + 3} sum:{sum(row) * 0.3 + 1:.1f} offset:-2 "
            f"buckets:[{row[0] + 1} {row[1] + 1} {row[2] + 1}]}}}}"
            for row in zip(*columns, strict=True)
        ]
        yield f"{name}{labels}", " ".join(values)

    def classic(self, name: str, labels: str, columns: Sequence[Sequence[int]]) -> Iterator[tuple[str, str]]:
        reached = [list(accumulate(row)) for row in zip(*columns, strict=True)]
        inner = labels[1:-1]
        for place, le in enumerate(("0.25", "0.5", "+Inf")):
            written = " ".join(str(row[place] + place + 1) for row in reached)
            yield f'{name}_bucket{{{inner}, le="{le}"}}', written
        yield f"{name}_count{labels}", " ".join(str(row[2] + 3) for row in reached)
        yield f"{name}_sum{labels}", " ".join(f"{row[2] * 0.3 + 1:.1f}" for row in reached)


def session(seed: int) -> tuple[str, str]:
    """The gauge of a session that is closed now and then."""
    chance = random.Random(seed)
    written: list[str] = []
    while len(written) < LENGTH:
        written += ["1"] * chance.randint(3, 12) + ["0"] * chance.randint(2, 6)
    return f'{session_metric({})}{{tickspan_session_name="{SESSION}"}}', " ".join(written[:LENGTH])


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs that are evaluated together."""

    rules: RuleSet
    test: UnitTest

    @staticmethod
    def of(numbers: Sequence[int]) -> Batch:
        pairs = [Generator(number).pair() for number in numbers]
        facts = {fact.name: fact for pair in pairs for fact in pair.facts}
        written = [*(one for pair in pairs for one in pair.series), session(numbers[0])]
        series = tuple(
            GivenSeries(label_set(name), samples(values), name, values) for name, values in written
        )
        test = UnitTest(f"batch {numbers[0]}", float(STEP_S), series=series)
        return Batch(RuleSet(tuple(pair.rule for pair in pairs), metrics=facts), test)

    def write(self, folder: Path) -> Path:
        """What our engine says, as expectations for promtool."""
        compiled = compile_rules(self.rules)
        assert compiled.lossy == ()
        (folder / "rules.yaml").write_text(yaml.safe_dump(compiled.document))
        tests = UnitTests((), float(STEP_S), (self.test,))
        document = promtool_document(tests, ["rules.yaml"], compiled.alerts, compiled.groups)
        document["tests"][0]["promql_expr_test"] = list(self.expectations())
        path = folder / "tests.yaml"
        path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
        return path

    def expectations(self) -> Iterator[dict[str, Any]]:
        seen = observe(self.test, self.rules, float(STEP_S), TIMES)
        for at_s in TIMES:
            for rule in self.rules.rules:
                alerts = [one.alert for one in seen[at_s] if one.rule is rule]
                yield {
                    "expr": f'ALERTS{{alertname="{rule.name}"}}',
                    "eval_time": f"{at_s:g}s",
                    "exp_samples": [
                        {"labels": _series((*alert.labels, ("alertstate", alert.state.value))), "value": 1}
                        for alert in alerts
                    ],
                }


def _series(labels: Sequence[tuple[str, str]]) -> str:
    return "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def differences(promtool: Path, folder: Path, numbers: Sequence[int]) -> list[str]:
    """What promtool says otherwise: rule and time."""
    folder.mkdir()
    path = Batch.of(numbers).write(folder)
    done = subprocess.run(
        [promtool, "test", "rules", path.name], cwd=folder, capture_output=True, text=True, check=False
    )
    found = re.findall(r'expr: "ALERTS\{alertname=\\"(\w+)\\"\}", time: (\w+)', done.stdout + done.stderr)
    assert bool(found) == (done.returncode != 0), (done.stdout + done.stderr)[-3000:]
    return [f"{name} at {time}" for name, time in found]


def test_prometheus_and_our_engine_tell_the_same_of_every_pair_at_every_evaluation(
    promtool: Path, tmp_path: Path
):
    batches = [range(first, first + BATCH) for first in range(0, PAIRS, BATCH)]
    with ThreadPoolExecutor(2) as workers:
        run = partial(differences, promtool)
        found = list(workers.map(run, [tmp_path / str(batch.start) for batch in batches], batches))
    assert [line for batch in found for line in batch] == []


def test_the_pairs_of_every_kind_are_pending_fire_and_end():
    seen: dict[type[Expression], set[str]] = {}
    for first in range(0, PAIRS // 4, BATCH):
        batch = Batch.of(range(first, first + BATCH))
        before: frozenset[tuple[str, Labels]] = frozenset()
        for active in observe(batch.test, batch.rules, float(STEP_S), TIMES).values():
            now = frozenset((one.rule.name, one.alert.labels) for one in active)
            kinds = {rule.name: type(rule.expression) for rule in batch.rules.rules}
            for one in active:
                seen.setdefault(kinds[one.rule.name], set()).add(one.alert.state.value)
            for name, _ in before - now:
                seen.setdefault(kinds[name], set()).add("ended")
            before = now
    kinds = (Threshold, Ratio, Absent, Change, Forecast, Burn)
    assert seen == {kind: {"pending", "firing", "ended"} for kind in kinds}


def test_a_step_that_is_late_by_a_second_is_noticed(
    promtool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    right = evaluation.step

    def wrong(rule: Rule, *rest: Any) -> Any:
        return right(replace(rule, for_s=rule.for_s + 1.0), *rest)

    monkeypatch.setattr(evaluation, "step", wrong)
    assert differences(promtool, tmp_path / "wrong", range(BATCH)) != []
