"""Points clients at a simulated venue: no address of a real one is left in them."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tickspan.testing.venue.fix import VENUE

_WS_SPOT = "/ws/stream"  # ccxt.pro takes an address for the spot market's if "/stream" is in it
_MARKET_TYPES = ["spot"]
_ALPACA_STREAMS = {
    "TradingStream": "/stream",
    "StockDataStream": "/v2/iex",
    "CryptoDataStream": "/v1beta3/crypto/us",
}


class Connect:
    """What a client needs to talk to this venue, and nobody else."""

    def __init__(self, url: str, api_key: str, secret: str, address: tuple[str, int] | None = None) -> None:
        self.url = url
        self.address = address or (urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 80)
        """Host and port that clients without HTTP connect to."""
        self.ws_url = "ws" + url.removeprefix("http")
        self.api_key = api_key
        self.secret = secret

    def ccxt_config(self) -> dict[str, Any]:
        """Constructor arguments for `ccxt.binance` and its async and pro forms; also valid JSON.

        For a bot's own configuration file. An exchange object at hand is better given to `ccxt`.
        """
        import ccxt  # optional, and 0.6 s that only its users pay

        # The class says which addresses it knows: they differ between versions.
        urls = self._rewritten(ccxt.binance().urls)
        pro = {"ws": self._rewritten_sockets(_pro_urls()["api"]["ws"])}
        return {
            "apiKey": self.api_key,
            "secret": self.secret,
            "urls": {"api": {**urls["api"], **pro}, "test": urls["test"], "demo": urls.get("demo", {})},
            "options": {"fetchMarkets": {"types": list(_MARKET_TYPES)}},
        }

    def ccxt(self, exchange: Any) -> Any:
        """Point a `binance` object of `ccxt`, `ccxt.async_support` or `ccxt.pro` here; returns it.

        Its key and secret are set if it has none. Its errors become those of the live spot venue, which
        ccxt otherwise tells by the host name.
        """
        exchange.urls = self._rewritten(exchange.urls)
        exchange.apiKey = exchange.apiKey or self.api_key
        exchange.secret = exchange.secret or self.secret
        options = exchange.options.get("fetchMarkets")
        exchange.options["fetchMarkets"] = (
            {**options, "types": list(_MARKET_TYPES)} if isinstance(options, dict) else list(_MARKET_TYPES)
        )
        spot = exchange.exceptions.get("spot", {})
        exchange.exceptions = exchange.deep_extend(exchange.exceptions, spot)
        return exchange

    @contextmanager
    def python_binance(self) -> Generator[dict[str, Any]]:
        """Point python-binance here while the context lasts; yields key and secret for its constructors.

        Its clients, socket managers and threads take their addresses from constants of their classes when
        they are made, and `Client()` calls at once: `with venue.connect.python_binance() as account:
        client = Client(**account)`. Nothing is left that leads elsewhere; other markets are refused here.
        """
        holders = _python_binance_classes()
        known = [
            (holder, name, address)
            for holder in holders
            for name, address in vars(holder).items()
            if name.endswith("_URL")
        ]
        for holder, name, address in known:
            setattr(holder, name, self._python_binance_address(name, address))
        try:
            yield {"api_key": self.api_key, "api_secret": self.secret}
        finally:
            for holder, name, address in known:
                setattr(holder, name, address)

    def _python_binance_address(self, name: str, address: str) -> str:
        """`address`, a template of an HTTP or WebSocket URL, at this venue; its path stays."""
        parts = urlsplit(address)
        here = self.ws_url if parts.scheme == "wss" else self.url
        if name.startswith("STREAM_") or parts.path not in ("", "/"):
            return here + parts.path
        # Streams of other markets have no path of their own: the host's first label tells them apart.
        return f"{here}/{parts.netloc.partition('.')[0]}{parts.path}"

    def fix_settings(self, *, sender: str = "CLIENT", store: str | None = None, **more: object) -> str:
        """Text for `quickfix.SessionSettings` of one initiator, to be written to a file.

        `sender` is the client's CompID, `store` the folder of a `FileStoreFactory`. `more` are settings by
        their names in QuickFIX (`HeartBtInt=5`), which take the place of these.
        """
        host, port = self.address
        settings: dict[str, object] = {
            "ConnectionType": "initiator",
            "BeginString": "FIX.4.4",
            "SenderCompID": sender,
            "TargetCompID": VENUE,
            "SocketConnectHost": host,
            "SocketConnectPort": port,
            "SocketNodelay": "Y",
            "ReconnectInterval": 1,
            "HeartBtInt": 30,
            "StartTime": "00:00:00",
            "EndTime": "00:00:00",
            "UseDataDictionary": "N",
            **({"FileStorePath": store} if store is not None else {}),
            **more,
        }
        lines = (f"{name}={value}" for name, value in settings.items())
        return "\n".join(("[DEFAULT]", "[SESSION]", *lines, ""))

    @property
    def ib_address(self) -> tuple[str, int]:
        """Host and port of the TWS dialect: `IB().connect(*venue.connect.ib_address, clientId=1)`."""
        return self.address

    def alpaca(self, client: type) -> dict[str, Any]:
        """Constructor arguments for a client class of alpaca-py or alpaca-trade-api: key, secret, address.

        `TradingClient(**venue.connect.alpaca(TradingClient))`; so the streams, data and broker clients.
        """
        names = [base.__name__ for base in client.__mro__]
        path = next((_ALPACA_STREAMS[name] for name in names if name in _ALPACA_STREAMS), None)
        if client.__module__.startswith("alpaca_trade_api"):
            keys = {"key_id": self.api_key, "secret_key": self.secret}
            data = {"data_stream_url": self.url} if "Stream" in names else {}
            return {**keys, "base_url": self.url, **data}
        url = self.url if path is None else self.ws_url + path
        return {"api_key": self.api_key, "secret_key": self.secret, "url_override": url}

    def _rewritten(self, urls: Mapping[str, Any]) -> dict[str, Any]:
        """`urls` with the address groups (live, test, demo) replaced, all else as it was."""
        groups = {name: group for name, group in urls.items() if name in ("api", "test", "demo")}
        return {**urls, **{name: self._rewritten_group(group) for name, group in groups.items()}}

    def _rewritten_group(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._rewritten_sockets(address)
            if isinstance(address, Mapping)
            else self.url + urlsplit(address).path
            for name, address in group.items()
        }

    def _rewritten_sockets(self, sockets: Mapping[str, Any]) -> dict[str, Any]:
        rewritten: dict[str, Any] = {}
        for name, address in sockets.items():
            if isinstance(address, Mapping):
                rewritten[name] = self._rewritten_sockets(address)
            elif name in ("spot", "margin") and urlsplit(address).path == "/ws":
                rewritten[name] = self.ws_url + _WS_SPOT
            elif urlsplit(address).path == "/ws-api/v3":
                rewritten[name] = self.ws_url + "/ws-api/v3"
            else:
                # Not this venue's market: the path keeps the name, so that it is told apart and refused.
                rewritten[name] = f"{self.ws_url}/{name}{urlsplit(address).path}"
        return rewritten


def _pro_urls() -> Mapping[str, Any]:
    import ccxt.pro  # optional, and 0.6 s that only its users pay

    return ccxt.pro.binance().urls


def _python_binance_classes() -> tuple[type, ...]:
    with warnings.catch_warnings():
        # It asks for a class that websockets 14 and later only has to say that it is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from binance.base_client import BaseClient  # optional, and 0.5 s that only its users pay
        from binance.ws.streams import BinanceSocketManager
    return BaseClient, BinanceSocketManager
