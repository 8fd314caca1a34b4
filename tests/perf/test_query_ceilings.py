"""How many Python functions a statement's text enters on its way to a span: counted, not timed."""

from __future__ import annotations

import pytest

from tickspan.analysis.sql import Dialect, StatementCache, canonicalise
from tickspan.analysis.sql.lexer import tokenise
from tickspan.instrumentation.db import Database, DatabaseOperations
from tickspan.processors.queries.processor import install
from tickspan.providers import TracerProvider
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf

SQL = (
    "SELECT orders.id, orders.symbol, fills.price FROM orders JOIN fills ON fills.order_id = orders.id"
    " WHERE orders.symbol = %(symbol)s AND orders.id IN (%(id_1)s, %(id_2)s) ORDER BY orders.id LIMIT 10"
)


def test_a_known_text_is_one_look_up() -> None:
    assert calls_of(StatementCache(Dialect.POSTGRESQL).get, SQL) == 1


def test_a_long_known_text_is_two() -> None:
    text = f"{SQL} -- {'x' * 5000}"
    assert calls_of(StatementCache(Dialect.POSTGRESQL).get, text) == 2


def test_the_attributes_of_a_known_text_are_not_made_again() -> None:
    assert calls_of(DatabaseOperations(Database("postgresql")).told, SQL) <= 3


def test_a_text_that_comes_a_thousand_times_is_lexed_once() -> None:
    cache = StatementCache(Dialect.POSTGRESQL)
    for _ in range(1000):
        cache.get(SQL)
    assert cache.statistics().misses == 1


def test_lexing_enters_a_function_for_the_whole_text_not_for_each_token() -> None:
    assert calls_of(tokenise, SQL, Dialect.POSTGRESQL) <= 12


def test_a_new_text_enters_a_few_functions_for_each_token() -> None:
    tokens = len(tokenise(SQL, Dialect.POSTGRESQL))
    assert calls_of(canonicalise, SQL, Dialect.POSTGRESQL) <= 6 * tokens


def span_of(scope: str, *, is_rewritten: bool) -> int:
    """Functions entered by a span of `scope`, from its start to its end."""
    provider = TracerProvider(shutdown_on_exit=False, sink=MemorySink())
    if is_rewritten:
        install(provider)
    tracer = provider.get_tracer(scope)
    return calls_of(lambda: tracer.start_span("work").end())


def test_a_foreign_span_without_a_statement_pays_for_a_look_at_its_attributes() -> None:
    assert span_of("app", is_rewritten=True) - span_of("app", is_rewritten=False) <= 1


def test_a_span_of_ours_pays_nothing_for_the_rewriting_of_others() -> None:
    bare = span_of("tickspan_redis", is_rewritten=False)
    assert span_of("tickspan_redis", is_rewritten=True) == bare
