"""`StatementCache`: what it remembers, and what bounds it."""

from concurrent.futures import ThreadPoolExecutor

from tickspan.analysis.sql import Dialect, Flag, StatementCache, StatementCacheStatistics, canonicalise


def test_a_text_seen_before_is_not_lexed_again() -> None:
    cache = StatementCache(Dialect.SQLITE)
    first = cache.get("SELECT 1")
    assert (cache.get("SELECT 1") is first, cache.statistics().misses) == (True, 1)


def test_what_it_returns_is_what_canonicalise_says() -> None:
    sql = "SELECT * FROM orders WHERE symbol = 'AAPL'"
    assert StatementCache(Dialect.SQLITE).get(sql) == canonicalise(sql, Dialect.SQLITE)


def test_texts_that_differ_in_a_literal_share_one_statement() -> None:
    cache = StatementCache(Dialect.SQLITE)
    assert cache.get("SELECT 1") is cache.get("SELECT 2")


def test_entries_are_bounded_and_recent_ones_stay() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=100)
    kept = [cache.get(f"SELECT column_{number} FROM t") for number in range(1000)]
    misses = cache.statistics().misses
    assert cache.get("SELECT column_999 FROM t") is kept[999]
    assert (cache.statistics().misses, cache.statistics().entries <= 100) == (misses, True)


def test_bytes_are_bounded() -> None:
    cache = StatementCache(Dialect.SQLITE, max_bytes=100_000)
    for number in range(500):
        cache.get(f"{number} {'SELECT a FROM t ' * 50}")
    assert cache.statistics().size_bytes <= 100_000


def test_a_text_that_keeps_coming_survives_all_generations() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=100)
    hot = cache.get("SELECT hot FROM t")
    for number in range(1000):
        cache.get(f"SELECT {'x' * (number % 60)}, {number} FROM t")
        assert cache.get("SELECT hot FROM t") is hot


def test_a_long_text_is_not_kept_itself() -> None:
    cache = StatementCache(Dialect.SQLITE)
    sql = f"SELECT {', '.join(f'column_{number}' for number in range(400))} FROM t"
    assert cache.get(sql) is cache.get("".join(sql))
    assert cache.statistics().size_bytes < 4 * len(sql)


def test_a_flood_of_texts_pushes_nobody_out_wherever_their_values_stand() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=1000)
    cache.get("SELECT hot FROM t")
    for number in range(400):
        cache.get(f"SELECT {number}, a, b, c, d, e, f, g FROM orders WHERE orders.symbol = 'AAPL'")
    assert cache.statistics() == StatementCacheStatistics(
        entries=101, size_bytes=cache.statistics().size_bytes, misses=401, uncached=300
    )


def test_statements_that_only_begin_alike_are_all_kept() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=1000)
    columns = ", ".join(f"column_{number}" for number in range(20))
    for number in range(400):
        cache.get(f"SELECT {columns} FROM orders WHERE column_{number} = ?")
    assert (cache.statistics().entries, cache.statistics().uncached) == (400, 0)


def test_a_flood_that_is_over_is_forgotten() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=100)
    for number in range(100):
        cache.get(f"SELECT a FROM orders WHERE id = {number}")
    for number in range(200):
        cache.get(f"SELECT column_{number} FROM t")
    uncached = cache.statistics().uncached
    cache.get("SELECT a FROM orders WHERE id = 500")
    assert cache.statistics().uncached == uncached


def test_a_flood_that_goes_on_stays_uncached() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=100)
    for number in range(5000):
        cache.get(f"SELECT a FROM orders WHERE id = {number}")
    assert cache.statistics().entries <= 20


def test_the_third_text_with_another_value_is_flagged() -> None:
    cache = StatementCache(Dialect.SQLITE)
    flags = [cache.get(f"SELECT a FROM orders WHERE id = {number}").flags for number in range(4)]
    assert flags == [
        Flag.LITERALS,
        Flag.LITERALS,
        Flag.LITERALS | Flag.LITERAL_IN_QUERY,
        Flag.LITERALS | Flag.LITERAL_IN_QUERY,
    ]


def test_texts_that_differ_in_the_number_of_their_placeholders_hold_no_literal() -> None:
    cache = StatementCache(Dialect.SQLITE)
    for number in range(1, 5):
        told = cache.get(f"SELECT a FROM orders WHERE id IN ({', '.join('?' * number)})")
        assert told.flags == Flag.NONE


def test_many_threads_get_the_same_answers() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=50)
    texts = [f"SELECT column_{number % 70} FROM t" for number in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        told = [statement.text for statement in pool.map(cache.get, texts)]
    assert (told, cache.statistics().entries <= 60) == (texts, True)
