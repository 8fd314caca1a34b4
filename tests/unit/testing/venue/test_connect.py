import json
from collections.abc import Iterable
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tickspan.testing.venue import Connect

HERE = Connect("http://127.0.0.1:9", "key", "secret")


def addresses(value: Any) -> Iterable[str]:
    """Every address in ccxt's nested table."""
    if isinstance(value, str):
        return [value]
    return [address for part in value.values() for address in addresses(part)]


@pytest.mark.parametrize("group", ["api", "test", "demo"])
@pytest.mark.parametrize("kind", [ccxt.binance, ccxt.pro.binance])
def test_no_address_of_a_real_venue_is_left(kind: Any, group: str):
    exchange: Any = HERE.ccxt(kind())
    left = [one for one in addresses(exchange.urls[group]) if "//127.0.0.1:9/" not in one]
    assert left == []


def test_paths_stay_and_pro_takes_the_stream_for_the_spot_markets():
    urls = HERE.ccxt(ccxt.pro.binance()).urls["api"]
    assert urls["private"] == "http://127.0.0.1:9/api/v3"
    assert urls["fapiPublic"] == "http://127.0.0.1:9/fapi/v1"
    assert urls["ws"]["ws-api"]["spot"] == "ws://127.0.0.1:9/ws-api/v3"
    assert urls["ws"]["spot"] == "ws://127.0.0.1:9/ws/stream"
    assert urls["ws"]["linear"] == "ws://127.0.0.1:9/linear/ws"


def test_an_exchange_keeps_its_own_credentials():
    mine: Any = HERE.ccxt(ccxt.binance({"apiKey": "mine", "secret": "also mine"}))
    usual: Any = HERE.ccxt(ccxt.binance())
    assert (mine.apiKey, mine.secret, usual.apiKey, usual.secret) == ("mine", "also mine", "key", "secret")


def test_the_configuration_is_json_and_leads_to_the_same_addresses():
    config: Any = json.loads(json.dumps(HERE.ccxt_config()))
    sync: Any = ccxt.binance(config)
    assert ccxt.pro.binance(config).urls["api"] == HERE.ccxt(ccxt.pro.binance()).urls["api"]
    assert sync.options["fetchMarkets"]["types"] == ["spot"]


def test_pointing_an_exchange_here_leaves_its_class_alone():
    before = ccxt.binance().urls
    HERE.ccxt(ccxt.binance())
    assert ccxt.binance().urls == before
