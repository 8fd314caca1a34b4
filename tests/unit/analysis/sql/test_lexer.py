"""`tokenise`: where literals, comments, names and placeholders begin and end, dialect by dialect."""

import pytest

from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.tokens import BROKEN, LITERAL, NAME, OPERATOR, PLACEHOLDER, QUOTED

POSTGRESQL, MYSQL, SQLITE, GENERIC = Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE, Dialect.GENERIC
KINDS = {LITERAL: "literal", PLACEHOLDER: "placeholder", BROKEN: "broken", QUOTED: "quoted", NAME: "name"}


def kinds(sql: str, dialect: Dialect) -> list[str]:
    return [KINDS.get(kind, text) for kind, text, _, _ in tokenise(sql, dialect)]


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        (POSTGRESQL, "'it''s'"),
        (POSTGRESQL, r"'C:\'"),
        (POSTGRESQL, r"E'it\'s'"),
        (POSTGRESQL, "U&'d\\0061t'"),
        (POSTGRESQL, "B'101'"),
        (POSTGRESQL, "X'1FF'"),
        (POSTGRESQL, "N'x'"),
        (POSTGRESQL, "$$it's$$"),
        (POSTGRESQL, "$body$ $$ $body$"),
        (MYSQL, r"'it\'s'"),
        (MYSQL, '"it\'s"'),
        (MYSQL, r'"say \"x\""'),
        (MYSQL, "x'ff'"),
        (SQLITE, r"'C:\'"),
        (SQLITE, "X'ff'"),
        (GENERIC, "q'[it's]'"),
        (GENERIC, "N'x'"),
        *(
            (dialect, number)
            for dialect in Dialect
            for number in ("1_000_000", "0x1F", "1e9", "1.5E-7", ".5")
        ),
    ],
)
def test_a_value_is_one_literal(dialect: Dialect, sql: str) -> None:
    assert kinds(f"{sql} , a", dialect) == ["literal", ",", "name"]


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        *((dialect, word) for dialect in Dialect for word in ("?", "%s", "%(n)s", "%(a b)s", ":n", ":1")),
        *((dialect, "__[POSTCOMPILE_ids_1]") for dialect in Dialect),
        *((dialect, "__[POSTCOMPILE_x~~CAST(~~REPL~~ AS int)~~]") for dialect in Dialect),
        *((dialect, "$1") for dialect in Dialect),
        (SQLITE, "?1"),
        (SQLITE, "@p1"),
        (SQLITE, "$name"),
        (GENERIC, "@p1"),
    ],
)
def test_a_placeholder_of_any_driver_is_one_token(dialect: Dialect, sql: str) -> None:
    assert kinds(f"a = {sql} , b", dialect) == ["name", "=", "placeholder", ",", "name"]


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        *((dialect, "-- it's\n") for dialect in Dialect),
        *((dialect, "/* it's */") for dialect in Dialect),
        (POSTGRESQL, "/* a /* it's */ b */"),
        (POSTGRESQL, "--it's\n"),
        (MYSQL, "# it's\n"),
        (MYSQL, "#it's\n"),
    ],
)
def test_a_comment_is_no_token(dialect: Dialect, sql: str) -> None:
    assert kinds(f"a {sql} , b", dialect) == ["name", ",", "name"]


@pytest.mark.parametrize(
    ("dialect", "sql", "told"),
    [
        (POSTGRESQL, "a::int", ["name", "::", "name"]),
        (POSTGRESQL, "a[1:n]", ["name", "[", "literal", ":", "name", "]"]),
        (POSTGRESQL, "a ?| b", ["name", "placeholder", "name"]),
        (POSTGRESQL, "a #>> '{b}'", ["name", "#>>", "literal"]),
        (POSTGRESQL, "a %% 2", ["name", "%%", "literal"]),
        (POSTGRESQL, "a % b", ["name", "%", "name"]),
        (MYSQL, "5--1", ["literal", "-", "-", "literal"]),
        (MYSQL, "@a := 1", ["name", ":=", "literal"]),
        (MYSQL, "a /*!50000 , b */", ["name", ",", "name"]),
        (SQLITE, '"AAPL"', ["quoted"]),
        (SQLITE, '"t"."a"', ["name"]),
        (SQLITE, "[my col]", ["name"]),
        (GENERIC, "a #>> '{b}'", ["name", "#>>", "literal"]),
        (GENERIC, "FROM #recent", ["name", "name"]),
    ],
)
def test_what_looks_alike_is_told_apart(dialect: Dialect, sql: str, told: list[str]) -> None:
    assert kinds(sql, dialect) == told


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        *((dialect, "'x") for dialect in Dialect),
        *((dialect, "\\") for dialect in Dialect),
        *((dialect, "\x00") for dialect in Dialect),
        (POSTGRESQL, r"E'x\'y'z\'"),
        (POSTGRESQL, "$a$ x $b$"),
        (POSTGRESQL, "/* 1 /* 2 /* 3 /* 4 /* 5 /* 6 */ */ */ */ */ */"),
        (MYSQL, '"x'),
        (SQLITE, '"x'),
        (GENERIC, r"'it\'s'"),
        (GENERIC, r'"say \"x\""'),
        (GENERIC, "$$x$$"),
        (GENERIC, "#comment"),
        (GENERIC, "q'[it's"),
    ],
)
def test_what_nobody_can_read_ends_the_text(dialect: Dialect, sql: str) -> None:
    assert kinds(f"a , {sql}", dialect)[-1] == "broken"


def test_blanks_and_comments_before_a_token_are_told() -> None:
    told = [(text, spaced) for _, text, spaced, _ in tokenise("a/* x */=  b,c", POSTGRESQL)]
    assert told == [("a", False), ("=", True), ("b", True), (",", False), ("c", False)]


def test_a_keyword_is_told_in_upper_case_whatever_its_spelling() -> None:
    told = [keyword for _, _, _, keyword in tokenise("SELECT select Select sElEcT selects", SQLITE)]
    assert told == ["SELECT", "SELECT", "SELECT", "SELECT", ""]


def test_an_operator_has_its_kind() -> None:
    assert [kind for kind, _, _, _ in tokenise("a || b", SQLITE)] == [NAME, OPERATOR, NAME]
