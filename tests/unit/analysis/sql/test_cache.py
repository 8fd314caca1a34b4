"""`StatementCache`: what it remembers, and what bounds it."""

from concurrent.futures import ThreadPoolExecutor

from tickspan.analysis.sql import Dialect, StatementCache, StatementCacheStatistics, canonicalise


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


def test_a_long_text_is_kept_by_its_digest() -> None:
    cache = StatementCache(Dialect.SQLITE)
    sql = f"SELECT {', '.join(f'column_{number}' for number in range(400))} FROM t"
    assert cache.get(sql) is cache.get("".join(sql))
    assert cache.statistics().size_bytes < 4 * len(sql)


def test_a_flood_of_texts_that_begin_alike_pushes_nobody_out() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=1000)
    cache.get("SELECT hot FROM t")
    prefix = "SELECT a, b, c, d, e, f, g FROM orders WHERE orders.symbol = 'AAPL' AND id = "
    for number in range(400):
        cache.get(f"{prefix}{number}")
    assert cache.statistics() == StatementCacheStatistics(
        entries=101, size_bytes=cache.statistics().size_bytes, misses=401, uncached=300
    )


def test_a_prefix_is_forgiven_in_time() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=100)
    prefix = "SELECT a, b, c, d, e, f, g FROM orders WHERE orders.symbol = 'AAPL' AND id = "
    for number in range(200):
        cache.get(f"{prefix}{number}")
    assert cache.statistics().entries > 10


def test_many_threads_get_the_same_answers() -> None:
    cache = StatementCache(Dialect.SQLITE, max_entries=50)
    texts = [f"SELECT column_{number % 70} FROM t" for number in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        told = [statement.text for statement in pool.map(cache.get, texts)]
    assert (told, cache.statistics().entries <= 60) == (texts, True)
