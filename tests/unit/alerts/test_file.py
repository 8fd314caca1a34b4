"""Rule files on disk: found, read with what they include, or told why not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.alerts.file import RuleFileError, catalogue_facts, load_rules, read_rules
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.semconv.catalogue import METRICS

RULE = "rules: [{name: %s, metric: trading.feed.staleness, threshold: %s}]\n"
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: acks}
spec:
  service: oms
  indicator:
    spec: {thresholdMetric: {metricSource: {type: tickspan, spec: {metric: trading.wire_to_ack}}}}
  objectives: [{target: 0.99, op: lte, value: 200ms}]
"""


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def told(path: Path) -> list[str]:
    _, problems = read_rules(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in problems]


def test_yaml_and_toml_say_the_same(write: Callable[[str, str], Path]) -> None:
    yaml = load_rules(write("a.yaml", RULE % ("A", "5s")))
    toml = load_rules(
        write(
            "a.toml", 'version = 1\n[[rules]]\nname = "A"\nmetric = "trading.feed.staleness"\nthreshold = 5\n'
        )
    )
    assert yaml == toml
    assert [rule.threshold for rule in yaml.rules] == [5.0]


def test_dates_and_times_of_toml_are_read(write: Callable[[str, str], Path]) -> None:
    rules = load_rules(
        write("a.toml", "[calendars.desk]\nopen = 08:00:00\nclose = 22:00:00\nholidays = [2026-12-25]\n")
    )
    assert list(rules.calendars) == ["desk"]


def test_strict_reading_raises_every_problem_and_lenient_reading_keeps_the_rest(
    write: Callable[[str, str], Path],
) -> None:
    path = write("alerts.yaml", RULE.replace("]\n", ", {name: B}]\n") % ("A", "5s"))
    with pytest.raises(RuleFileError) as caught:
        load_rules(path)
    assert [problem.message for problem in caught.value.problems] == [
        "expected 'metric', which is missing",
        "expected 'threshold', which is missing",
    ]
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    rules, problems = read_rules(path)
    assert ([rule.name for rule in rules.rules], problems) == (["A"], caught.value.problems)


def test_a_file_that_cannot_be_read_is_told_in_one_line(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"rules: [\xe9]")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * 10 * 1024 * 1024)
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    write("alerts.json5", "{}")
    write("empty.yaml", "")
    write("two.yaml", "a: 1\n---\nb: 2\n")
    assert [told(path) for path in sorted(tmp_path.iterdir())] == [
        ["alerts.json5: expected a file called .toml, .yaml or .yml"],
        ["binary.yaml: cannot be read: expected UTF-8 text, got another byte at 128"],
        ["empty.yaml: expected a mapping with 'rules', got nothing"],
        ["folder.yaml: cannot be read: expected a file, got something else"],
        ["large.yaml: cannot be read: expected at most 1 MiB, got 10.0 MiB"],
        ["latin.yaml: cannot be read: expected UTF-8 text, got another byte at 8"],
        ["loop.yaml: cannot be read: Too many levels of symbolic links"],
        ["pipe.yaml: cannot be read: expected a file, got something else"],
        ["two.yaml:3: expected one document, got 2"],
    ]
    assert told(tmp_path / "missing.yaml") == ["missing.yaml: cannot be read: No such file or directory"]
    assert told(Path("a\0b.yaml")) == ["a\0b.yaml: cannot be read: expected a name without a null byte"]


def test_yaml_without_its_library_names_the_extra(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert told(write("a.yaml", RULE % ("A", "5s"))) == [
        "a.yaml: expected 'pip install tickspan[alerts]' for YAML, or a file in TOML"
    ]


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + (RULE % ("A", "5s")).encode())
    assert [rule.name for rule in load_rules(tmp_path / "a.yaml").rules] == ["A"]


def test_includes_are_relative_and_their_rules_can_be_replaced_or_left_out(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "team").mkdir()
    write("team/feeds.yaml", RULE % ("Feeds", "5s"))
    write("team/slo.yaml", SLO)
    rules = load_rules(
        write(
            "alerts.yaml",
            "include: [default, team/feeds.yaml, team/slo.yaml]\nwithout: Watchdog\n"
            "thresholds: {SystemOverload: 95%, Feeds: 7s}\n" + RULE % ("StaleFeed", "9s"),
        )
    )
    by_name = {rule.name: rule for rule in rules.rules}
    assert by_name["SystemOverload"].threshold == 0.95
    assert by_name["Feeds"].threshold == 7.0
    assert (by_name["StaleFeed"].threshold, by_name["StaleFeed"].by) == (9.0, ())
    assert {"AcksPage", "AcksTicket"} <= set(by_name)
    assert "Watchdog" not in by_name
    assert set(rules.metrics) >= {"system.cpu.time", "trading.feed.staleness", "trading.wire_to_ack"}


def test_a_rule_about_an_included_objective_takes_the_place_of_the_implied_ones(
    write: Callable[[str, str], Path],
) -> None:
    write("slo.yaml", SLO)
    path = write("a.yaml", "include: slo.yaml\nrules: [{name: Mine, kind: slo, slo: acks, min_count: 9}]\n")
    assert [(rule.name, rule.min_count) for rule in load_rules(path).rules] == [("Mine", 9)]


def test_metrics_that_an_included_file_declares_are_known(write: Callable[[str, str], Path]) -> None:
    write("metrics.yaml", "metrics: {desk.trades: {kind: counter, unit: '{trade}'}}\n")
    path = write(
        "a.yaml", "include: metrics.yaml\nrules: [{name: A, metric: desk.trades, threshold: 1/min}]\n"
    )
    assert [rule.unit for rule in load_rules(path).rules] == ["{trade}/s"]


def test_a_problem_of_an_included_file_has_its_name(write: Callable[[str, str], Path]) -> None:
    write("b.yaml", RULE % ("B", "soon"))
    path = write("a.yaml", "include: b.yaml\n" + RULE % ("A", "5s"))
    assert told(path) == ["b.yaml:1 rules[0].threshold: expected a number like '100ms' (unit s), got 'soon'"]


def test_files_that_include_one_another_are_told(write: Callable[[str, str], Path]) -> None:
    write("b.yaml", "include: a.yaml\n" + RULE % ("B", "5s"))
    path = write("a.yaml", "include: b.yaml\n" + RULE % ("A", "5s"))
    assert told(path) == ["b.yaml:1 include: expected files that do not include one another, got 'a.yaml'"]
    assert [rule.name for rule in read_rules(path)[0].rules] == ["B", "A"]


def test_two_included_rules_of_one_name_are_told(write: Callable[[str, str], Path]) -> None:
    write("b.yaml", RULE % ("B", "5s"))
    write("c.yaml", RULE % ("B", "6s"))
    path = write("a.yaml", "version: 1\ninclude: [b.yaml, c.yaml, b.yaml]\n")
    assert told(path) == ["a.yaml:2 include: 'b.yaml' and 'c.yaml' both have a rule 'B'"]


def test_all_of_the_catalogue_is_known_with_the_bounds_that_are_recorded() -> None:
    facts = catalogue_facts()
    assert list(facts) == list(METRICS)
    assert facts["trading.wire_to_ack"].bounds is None
    assert facts["http.server.request.duration"].bounds is None
    assert facts["db.client.operation.duration"].bounds == SECONDS_FROM_10_US
