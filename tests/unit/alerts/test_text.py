"""Texts of rule files, and texts that pretend to be some."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.alerts.text import TextError, read_toml, read_yaml
from tickspan.analysis.rules.forms import Twice


def test_scalars_stay_text_and_every_value_has_its_line() -> None:
    (document,) = read_yaml("a: 22:00\nb:\n  - NO\n  - {c: on, d: ~}\n")
    assert document.value == {"a": "22:00", "b": ["NO", {"c": "on", "d": "~"}]}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d"): 4,
    }


def test_a_key_that_is_given_twice_is_marked() -> None:
    (document,) = read_yaml("a: 1\nb: 2\na: 3\n")
    assert document.value == {"a": Twice(1, 3), "b": "2"}


def test_anchors_and_merges_are_followed() -> None:
    (document,) = read_yaml("x: &base {a: 1, b: 2}\ny: {<<: *base, b: 3}\nz: {<<: [{c: 4}, *base]}\n")
    assert document.value["y"] == {"a": "1", "b": "3"}
    assert document.value["z"] == {"a": "1", "b": "2", "c": "4"}


def test_several_documents_each_have_their_lines() -> None:
    first, second = read_yaml("a: 1\n---\nb: 2\n")
    assert (first.lines["a",], second.lines["b",]) == (1, 3)


def bomb(levels: int) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected", "line"),
    [
        ("a: [1", "expected YAML: expected ',' or ']', but got '<stream end>'", 1),
        ("a: 1\n b: 2", "expected YAML: mapping values are not allowed here", 2),
        ("a: 1\n\tb: 2", "expected YAML: found character '\\t' that cannot start any token", 2),
        ("a: \0", "expected YAML: unacceptable character #x0000: special characters are not allowed", None),
        ("a: !!python/object/apply:os.system [ls]", "expected values without tags, got", 1),
        ("a: !include x", "expected values without tags, got '!include'", 1),
        ("a: *nobody", "expected an anchor that stands before its alias, got '*nobody'", 1),
        ("a: &a [*a]", "expected an anchor that stands before its alias, got '*a'", 1),
        ("? [a]\n: 1", "expected text as keys, got a collection", 1),
        ("a: {<<: 3}", "expected a mapping, or a list of them, under '<<'", 1),
        ("[" * 100_000, "expected at most 32 levels", 1),
        ("{a: " * 50, "expected at most 32 levels", 1),
        (bomb(9), "expected at most 100000 values, aliases included", 5),
    ],
)
def test_what_is_no_document_is_told_in_one_line(text: str, expected: str, line: int | None) -> None:
    with pytest.raises(TextError, match=f"^{re.escape(expected)}") as caught:
        read_yaml(text)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a = ", "[a]\n[a]\n", "a = " + "[" * 100_000, "a = 1\na = 2"])
def test_what_is_no_toml_is_told_in_one_line(text: str) -> None:
    with pytest.raises(TextError, match=r"^expected TOML: ") as caught:
        read_toml(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*<!?|>'\"#\n \t%@,."), max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for read in (read_yaml, read_toml):
        with suppress(TextError):
            read(text)
