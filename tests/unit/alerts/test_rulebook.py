"""The rule book: a file that changes, rules of the program, and what stays when something is wrong."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tickspan.alerts.file import RuleFileError
from tickspan.alerts.rulebook import Listener, Rulebook
from tickspan.analysis.rules.model import Condition, Rule, Selector, Stat, StatName, Threshold
from tickspan.analysis.rules.ruleset import RuleSet

GOOD = """
version = 1
[metrics."desk.level"]
kind = "gauge"
unit = "s"
[[rules]]
name = "High"
metric = "desk.level"
stat = "last"
condition = "gt"
threshold = "100ms"
"""
OTHER = GOOD.replace("High", "Higher")
HALF = GOOD + '\n[[rules]]\nname = "Bad"\nmetric = "desk.level"\nwindow = "5"\n'
CODE = Rule("Code", Threshold(Selector("desk.level"), Stat(StatName.LAST)), Condition.GT, 1.0)


@pytest.fixture
def told() -> Generator[list[str]]:
    """What is said on our own logger."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("tickspan")
    before, logger.handlers = logger.handlers, [handler]
    yield lines
    logger.handlers = before


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alerts.toml"


def write(file: Path, text: str, second: int) -> None:
    """At a time of its own: a file system's clock may be coarse."""
    file.write_text(text)
    os.utime(file, (second, second))


def names(book: Rulebook) -> list[str]:
    return [rule.name for rule in book.rules().rules]


def test_a_file_is_read_again_when_it_has_changed(file: Path) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file)
    first, is_other = names(book), book.look_at_file()
    write(file, OTHER, 2)
    assert (first, is_other, book.look_at_file(), names(book), book.reloads) == (
        ["High"],
        False,
        True,
        ["Higher"],
        1,
    )


def test_a_file_that_is_not_there_yet_is_waited_for(file: Path) -> None:
    book = Rulebook(file)
    before = (names(book), book.look_at_file())
    write(file, GOOD, 1)
    assert (before, book.look_at_file(), names(book), book.reloads) == (([], False), True, ["High"], 0)


def test_at_the_start_a_bad_rule_is_left_out_and_its_neighbours_stay(file: Path, told: list[str]) -> None:
    write(file, HALF, 1)
    book = Rulebook(file)
    assert (names(book), book.invalid > 0) == (["High"], True)
    assert any("rules[1].window: expected a duration like '5s', got '5'" in line for line in told)


@pytest.mark.parametrize("bad", [HALF, "[[rules", ""])
def test_a_file_that_becomes_bad_leaves_the_last_good_version_and_says_so_once(
    file: Path, told: list[str], bad: str
) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file)
    write(file, bad, 2)
    looks = [book.look_at_file() for _ in range(3)]
    assert (looks, names(book), book.invalid > 0) == ([False] * 3, ["High"], True)
    assert told[-1] == f"alerts: the last good version of {file} stays"
    assert len(told) == len(set(told))


def test_a_file_that_is_repaired_counts_again(file: Path) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file)
    for second, text in enumerate((HALF, OTHER), 2):
        write(file, text, second)
        book.look_at_file()
    assert (names(book), book.invalid, book.reloads) == (["Higher"], 0, 2)


def test_a_file_that_is_gone_leaves_its_rules(file: Path) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file)
    file.unlink()
    assert (book.look_at_file(), names(book)) == (False, ["High"])


def test_strictness_makes_a_mistake_an_error(file: Path) -> None:
    write(file, HALF, 1)
    with pytest.raises(RuleFileError, match=r"rules\[1\].window: expected a duration"):
        Rulebook(file, is_strict=True)


def test_thresholds_of_the_settings_are_stronger_than_the_files(file: Path, told: list[str]) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file, {"High": "250ms", "Hihg": "1s"})
    assert [rule.threshold for rule in book.rules().rules] == [0.25]
    assert told == [
        "alerts: alerts.thresholds.Hihg: expected the name of a rule as key, got 'Hihg'; did you mean 'High'?"
    ]


def test_the_pack_that_tickspan_brings_may_stand_in_place_of_a_file() -> None:
    book = Rulebook(Path("default"))
    assert "SlowTradeExecution" in names(book)


def test_a_rule_in_code_takes_the_place_of_one_in_the_file(file: Path) -> None:
    write(file, GOOD, 1)
    book = Rulebook(file)
    book.add(RuleSet((Rule("High", CODE.expression, Condition.LT, 9.0),)), None)
    assert [(rule.name, rule.threshold) for rule in book.rules().rules] == [("High", 9.0)]


def test_a_rule_is_added_once_until_it_is_removed() -> None:
    book = Rulebook()
    book.add(RuleSet((CODE,)), None)
    with pytest.raises(ValueError, match="rule 'Code' is there already; remove it first"):
        book.add(RuleSet((CODE,)), None)
    assert [book.remove("Code"), book.remove("Code")] == [True, False]
    book.add(RuleSet((CODE,)), None)
    assert names(book) == ["Code"]


def test_listeners_hear_of_what_concerns_them_also_after_the_rule_is_removed() -> None:
    book = Rulebook()
    own, everybody = Listener("own", print, None), Listener("desk", print, None)
    book.listen(everybody)
    book.add(RuleSet((CODE,)), own)
    named = Rule("Named", CODE.expression, Condition.GT, 1.0, notify=("pager",))
    told = [book.callbacks_of(CODE), book.callbacks_of(named)]
    book.remove("Code")
    assert [*told, book.callbacks_of(CODE)] == [[everybody, own], [], [everybody, own]]


def test_a_book_takes_over_what_the_program_had_added(file: Path) -> None:
    write(file, GOOD, 1)
    before, after = Rulebook(), Rulebook(file)
    before.add(RuleSet((CODE,)), None)
    after.take_over(before)
    assert names(after) == ["High", "Code"]
