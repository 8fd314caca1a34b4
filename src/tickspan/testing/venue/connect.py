"""Points clients at a simulated venue: no address of a real one is left in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_WS_SPOT = "/ws/stream"  # ccxt.pro takes an address for the spot market's if "/stream" is in it
_MARKET_TYPES = ["spot"]


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
