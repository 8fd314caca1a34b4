"""Orders that outlive their process, in a file and in Redis: the same answers from both."""

from __future__ import annotations

import stat
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from tickspan.trading import OrderKey, OrderStatus
from tickspan.trading.store import StoredOrder
from tickspan.trading.stores import RedisOrders, SqliteOrders
from tickspan.trading.stores.tap import store_at

ORDER = StoredOrder(
    "binance", trace_id=7, span_id=9, submitted_unix_ns=100, library="ccxt", client_ids=("mine",)
)
ACK = replace(ORDER, venue_id="17", status=OrderStatus.NEW, submitted_unix_ns=200)
KNOWN = replace(ORDER, venue_id="17", status=OrderStatus.NEW)
BY_VENUE_ID = OrderKey("binance", None, "17", is_venue_id=True)

Store = SqliteOrders | RedisOrders


@pytest.fixture(params=["sqlite", "redis"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Store]:
    server = fakeredis.FakeServer()

    def connected(*_: Any, **options: Any) -> Any:
        return fakeredis.FakeRedis(server=server, decode_responses=options["decode_responses"])

    monkeypatch.setattr("redis.Redis.from_url", connected)
    kept = store_at("sqlite" if request.param == "sqlite" else "redis://localhost", tmp_path)
    assert kept is not None
    yield kept
    kept.close()


def test_nothing_is_found_before_anything_was_told(store: Store):
    assert store.find(OrderKey("binance", None, "mine")) is None


def test_an_order_is_found_by_each_of_its_ids(store: Store):
    store.take([ORDER, ACK])
    found = [store.find(key) for key in (OrderKey("binance", None, "mine"), BY_VENUE_ID)]
    assert found == [KNOWN, KNOWN]


def test_an_id_of_another_venue_or_kind_finds_nothing(store: Store):
    store.take([ORDER, ACK])
    keys = (OrderKey("okx", None, "mine"), OrderKey("binance", None, "17"), BY_VENUE_ID._replace(id="18"))
    assert [store.find(key) for key in keys] == [None, None, None]


def test_an_order_whose_id_becomes_known_with_its_answer_is_one_order(store: Store):
    store.take([replace(ORDER, client_ids=())])
    store.take([ACK])
    assert store.find(BY_VENUE_ID) == KNOWN


def test_the_orders_of_one_batch_are_kept_apart(store: Store):
    store.take([ORDER, replace(ORDER, client_ids=("other",)), ACK])
    other = store.find(OrderKey("binance", None, "other"))
    assert (other, store.find(BY_VENUE_ID)) == (replace(ORDER, client_ids=("other",)), KNOWN)


def test_another_account_does_not_see_it(store: Store):
    store.take([replace(ORDER, account_hash="a")])
    found = [store.find(OrderKey("binance", account, "mine")) is not None for account in ("a", "b", None)]
    assert found == [True, False, True]


def test_a_file_is_its_owners_alone_and_survives_the_writer(tmp_path: Path):
    writer = SqliteOrders(tmp_path / "orders.sqlite3")
    writer.take([ORDER])
    writer.close()
    reader = SqliteOrders(tmp_path / "orders.sqlite3")
    assert (stat.S_IMODE(reader.path.stat().st_mode), reader.find(OrderKey("binance", None, "mine"))) == (
        0o600,
        ORDER,
    )


def test_a_file_forgets_what_was_silent_for_long_and_the_oldest_beyond_its_bound(tmp_path: Path):
    kept = SqliteOrders(tmp_path / "orders.sqlite3", max_orders=2)
    kept.take(replace(ORDER, span_id=n, client_ids=(str(n),), submitted_unix_ns=n * 100) for n in range(1, 6))
    kept.forget(until_unix_ns=200)
    found = [kept.find(OrderKey("binance", None, str(n))) is not None for n in range(1, 6)]
    kept.close()
    assert found == [False, False, False, True, True]


@pytest.mark.parametrize("asked", ["postgres://x", "", "redis"])
def test_an_unknown_store_is_an_error_that_says_what_there_is(asked: str, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^trading\.store: expected off, sqlite or redis://host"):
        store_at(asked, tmp_path)


def test_off_is_no_store(tmp_path: Path):
    assert store_at("off", tmp_path) is None
