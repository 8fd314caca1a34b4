"""Whether a text mentions any of many words: the same answer in both forms, and never a wrong "no"."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickspan.recording._impl import logrecord
from tickspan.recording.scan import scrubbed

WORDS = ("key", "Keys", "sk-", "gh", "://", ":aa")
SENTENCES = st.lists(
    st.sampled_from([*WORDS, "ke", "KEY", "k", " ", "sk", "-", "order", "\0", "K"]), max_size=8
).map("".join)


@pytest.fixture(params=["tickspan.recording.mentions", "tickspan._compiled.recording.mentions"])
def form(request: pytest.FixtureRequest) -> ModuleType:
    """The module interpreted and compiled."""
    return pytest.importorskip(request.param, reason="the hot modules are not compiled here")


@given(SENTENCES | st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a module: nothing to set up again
def test_it_is_what_searching_for_each_word_says(form: ModuleType, text: str):
    expected = not text.isascii() or any(word.lower() in text.lower() for word in WORDS)

    assert form.Mentions(WORDS).may_be_in(text) is expected


@pytest.mark.parametrize("words", [("a",), ("",), ("schlüssel",), ("ok", "x")])
def test_a_word_that_cannot_be_looked_up_is_refused(form: ModuleType, words: tuple[str, ...]):
    with pytest.raises(ValueError, match="expected words of two or more ASCII characters"):
        form.Mentions(words)


def test_too_many_beginnings_are_refused(form: ModuleType):
    letters = "abcdefghijklmnop"
    words = [first + second for first in letters for second in letters]

    with pytest.raises(ValueError, match="expected at most 254 different beginnings, got 256"):
        form.Mentions(words)


def test_without_words_nothing_is_mentioned(form: ModuleType):
    assert form.Mentions(()).may_be_in("anything") is False


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_what_it_lets_by_the_scanner_would_not_have_changed(text: str):
    is_let_by = not logrecord.suspicious.may_be_in(text)
    assert not is_let_by or scrubbed(text) == text
