"""Redis commands: any word but a known verb is data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.instrumentation.commands import COMMANDS, OTHER, Command, command_of


@pytest.mark.parametrize(
    ("words", "command", "text"),
    [
        (("SET", "key", "value"), Command("SET", 2), "SET ? ?"),
        (("set key", "value"), Command("SET", 2), "SET ? ?"),
        (("AUTH secret",), Command("AUTH", 1), None),
        (("CONFIG", "set", "requirepass", "secret"), Command("CONFIG SET", 2), None),
        (("secret",), Command(OTHER, 0), "OTHER"),
        (("MGET", *["key"] * 40), Command("MGET", 40), "MGET" + " ?" * 32 + " ..."),
    ],
)
def test_a_command_is_its_verb_and_a_number(
    words: tuple[str, ...], command: Command, text: str | None
) -> None:
    assert command_of(words) == command
    assert command.text == text


@given(st.lists(st.text() | st.binary() | st.integers(), min_size=1, max_size=5))
def test_only_words_of_redis_are_told(words: list[Any]) -> None:
    assert command_of(words).verb.split()[0] in {*COMMANDS, OTHER}
