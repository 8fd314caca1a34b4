"""The generator of SQL that is full of secrets."""

from random import Random

import pytest

from tickspan.testing.sql import DIALECTS, GeneratedStatement, literal, literals, statement, statements

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@every_dialect
def test_the_same_seed_gives_the_same_statements(dialect: str) -> None:
    assert list(statements(7, dialect, 20)) == list(statements(7, dialect, 20))


@every_dialect
def test_another_seed_gives_others(dialect: str) -> None:
    assert list(statements(7, dialect, 20)) != list(statements(8, dialect, 20))


@every_dialect
def test_the_secrets_of_a_whole_statement_stand_in_its_text(dialect: str) -> None:
    known = [one for one in statements(1, dialect, 300) if not one.is_cut]
    assert [one for one in known if set(one.found_in(one.sql)) != set(one.secrets)] == []


@every_dialect
def test_no_table_holds_a_secret(dialect: str) -> None:
    known = list(statements(1, dialect, 300))
    assert [one for one in known if one.found_in(" ".join(one.tables))] == []


@every_dialect
def test_some_statements_end_too_early_and_most_do_not(dialect: str) -> None:
    cut = sum(one.is_cut for one in statements(1, dialect, 500))
    assert 50 < cut < 200


@every_dialect
def test_a_literal_holds_its_secrets(dialect: str) -> None:
    known = list(literals(1, dialect, 300))
    assert [one for one in known if not all(secret in one.sql for secret in one.secrets)] == []


def test_literals_come_in_every_way_of_quoting() -> None:
    begins = {one.sql[:2] for one in literals(1, "postgresql", 500)}
    assert {"E'", "N'", "U&", "$$", "$b", "x'", "X'", "'S", "0x", "0b"} <= begins


@every_dialect
def test_any_source_of_randomness_will_do(dialect: str) -> None:
    assert statement(Random(3), dialect) == next(statements(3, dialect))
    assert literal(Random(3), dialect) == next(literals(3, dialect))


def test_a_statement_may_be_asked_for_whole() -> None:
    random = Random(1)
    assert [statement(random, "mysql", may_be_cut=False).is_cut for _ in range(50)] == [False] * 50


def test_a_secret_is_found_in_any_case() -> None:
    generated = GeneratedStatement("SELECT 'Secret1x'", ("Secret1x", "917235"), ())
    assert generated.found_in("select 'secret1X'") == ("Secret1x",)


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of postgresql, mysql, sqlite, generic, got 'oracle'"):
        statement(Random(1), "oracle")
