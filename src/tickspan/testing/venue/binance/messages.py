"""Binance's messages: pure functions from the venue's values to the JSON objects of its documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from tickspan.testing.venue.behaviour import Market
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.limits import Budget
from tickspan.testing.venue.orders import Balance, Execution, Side, VenueOrder
from tickspan.testing.venue.prices import Candle, Level, Prices, Tick, Trade

Json = dict[str, object]
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")
_TEN_THOUSANDTH = Decimal("0.0001")


def text(number: Decimal) -> str:
    """A number as Binance writes it: eight decimals, never an exponent."""
    return f"{number:.8f}"


def exchange_info(markets: Iterable[Market], budget: Budget, now_ms: int) -> Json:
    """`exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            {
                "rateLimitType": limit.kind,
                "interval": limit.interval,
                "intervalNum": limit.interval_count,
                "limit": limit.limit,
            }
            for limit in budget.limits
        ],
        "exchangeFilters": [],
        "symbols": [symbol_info(market) for market in markets],
    }


def symbol_info(market: Market) -> Json:
    """One entry of `exchangeInfo.symbols`."""
    return {
        "symbol": market.id,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(market.tick_size),
                "maxPrice": text(market.maximum_price),
                "tickSize": text(market.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text(market.step_size),
                "maxQty": text(market.maximum_quantity),
                "stepSize": text(market.step_size),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text(market.minimum_notional),
                "applyMinToMarket": True,
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def coins(markets: Iterable[Market], balances: Mapping[str, Balance]) -> list[Json]:
    """`capital/config/getall`: the assets that the venue knows, which an unknown fee asset is not among."""
    known = dict.fromkeys(asset for market in markets for asset in (market.base, market.quote))
    return [_coin(asset, balances.get(asset, Balance())) for asset in known]


def _coin(asset: str, balance: Balance) -> Json:
    network = {
        "network": asset,
        "coin": asset,
        "isDefault": True,
        "depositEnable": False,
        "withdrawEnable": False,
        "withdrawFee": "0",
        "withdrawMin": "0",
        "withdrawMax": "0",
        "withdrawIntegerMultiple": "0.00000001",
    }
    return {
        "coin": asset,
        "name": asset,
        "free": text(balance.free),
        "locked": text(balance.locked),
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "trading": True,
        "isLegalMoney": False,
        "networkList": [network],
    }


def account(balances: Mapping[str, Balance], fee_rate: float, now_ms: int) -> Json:
    """`account`."""
    rate = text(Decimal(str(fee_rate)))
    return {
        "makerCommission": round(fee_rate * 10_000),
        "takerCommission": round(fee_rate * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": rate,
            "taker": rate,
            "buyer": text(Decimal(0)),
            "seller": text(Decimal(0)),
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(balance.free), "locked": text(balance.locked)}
            for asset, balance in balances.items()
        ],
        "permissions": ["SPOT"],
        "uid": 7,
    }


def order_row(order: VenueOrder) -> Json:
    """An order as `GET order`, `openOrders` and `allOrders` return it."""
    return {
        **_order_core(order),
        "stopPrice": text(Decimal(0)),
        "icebergQty": text(Decimal(0)),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "origQuoteOrderQty": text(order.quote_quantity),
    }


def order_answer(order: VenueOrder, executions: Iterable[Execution], kind: str) -> Json:
    """The answer to a placement; `kind` is `newOrderRespType`."""
    if kind == "ACK":
        names = ("symbol", "orderId", "orderListId", "clientOrderId")
        core = _order_core(order)
        return {**{name: core[name] for name in names}, "transactTime": order.created_ms}
    result = {
        **_order_core(order),
        "transactTime": order.created_ms,
        "workingTime": order.created_ms,
        "origQuoteOrderQty": text(order.quote_quantity),
    }
    return result if kind == "RESULT" else {**result, "fills": [_fill(execution) for execution in executions]}


def cancel_answer(order: VenueOrder, client_id: str) -> Json:
    """The answer to a cancel; `client_id` is the cancel's own."""
    return {
        **_order_core(order),
        "origClientOrderId": order.client_id,
        "clientOrderId": client_id,
        "transactTime": order.updated_ms,
    }


def _order_core(order: VenueOrder) -> Json:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled_quantity),
        "cummulativeQuoteQty": text(order.filled_quote),
        "status": order.status.value,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side.value,
        "selfTradePreventionMode": "NONE",
    }


def _fill(execution: Execution) -> Json:
    return {
        "price": text(execution.price),
        "qty": text(execution.quantity),
        "commission": text(execution.fee),
        "commissionAsset": execution.fee_asset,
        "tradeId": execution.execution_id,
    }


def my_trade(execution: Execution) -> Json:
    """One row of `myTrades`."""
    return {
        "symbol": execution.symbol,
        "id": execution.execution_id,
        "orderId": execution.order_id,
        "orderListId": -1,
        "price": text(execution.price),
        "qty": text(execution.quantity),
        "quoteQty": text(execution.price * execution.quantity),
        "commission": text(execution.fee),
        "commissionAsset": execution.fee_asset,
        "time": execution.time_ms,
        "isBuyer": execution.side is Side.BUY,
        "isMaker": execution.is_maker,
        "isBestMatch": True,
    }


def execution_report(report: Report) -> Json:
    """`executionReport` of the user data stream."""
    order, execution = report.order, report.execution
    nothing = text(Decimal(0))
    is_cancel = report.kind == "CANCELED"
    return {
        "e": "executionReport",
        "E": report.time_ms,
        "s": order.symbol,
        "c": report.client_id,
        "S": order.side.value,
        "o": order.type,
        "f": order.time_in_force,
        "q": text(order.quantity),
        "p": text(order.price),
        "P": nothing,
        "F": nothing,
        "g": -1,
        "C": order.client_id if is_cancel else "",
        "x": report.kind,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": text(execution.quantity) if execution else nothing,
        "z": text(order.filled_quantity),
        "L": text(execution.price) if execution else nothing,
        "n": text(execution.fee) if execution else "0",
        "N": execution.fee_asset if execution else None,
        "T": execution.time_ms if execution else order.updated_ms,
        "t": execution.execution_id if execution else -1,
        "I": order.order_id * 2,
        "w": order.status.is_open and order.is_maker,
        "m": execution.is_maker if execution else False,
        "M": False,
        "O": order.created_ms,
        "Z": text(order.filled_quote),
        "Y": text(execution.price * execution.quantity) if execution else nothing,
        "Q": text(order.quote_quantity),
        "W": order.created_ms,
        "V": "NONE",
    }


def account_position(report: Report) -> Json:
    """`outboundAccountPosition`: the balances that the order changed."""
    return {
        "e": "outboundAccountPosition",
        "E": report.time_ms,
        "u": report.time_ms,
        "B": [
            {"a": asset, "f": text(balance.free), "l": text(balance.locked)}
            for asset, balance in report.balances.items()
        ],
    }


def depth(prices: Prices, limit: int) -> Json:
    """`depth`, and the partial book streams."""
    return {
        "lastUpdateId": prices.last_update_id,
        "bids": _levels(prices.bids[:limit]),
        "asks": _levels(prices.asks[:limit]),
    }


def public_trade(trade: Trade) -> Json:
    """One row of `trades`."""
    return {
        "id": trade.id,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.price * trade.quantity),
        "time": trade.time_ms,
        "isBuyerMaker": trade.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_trade(trade: Trade) -> Json:
    """One row of `aggTrades`; each trade is its own aggregate."""
    return {
        "a": trade.id,
        "p": text(trade.price),
        "q": text(trade.quantity),
        "f": trade.id,
        "l": trade.id,
        "T": trade.time_ms,
        "m": trade.is_buyer_maker,
        "M": True,
    }


def price_ticker(prices: Prices) -> Json:
    """`ticker/price`."""
    return {"symbol": prices.market.id, "price": text(prices.day.close)}


def book_ticker(prices: Prices) -> Json:
    """`ticker/bookTicker`."""
    bid, ask = prices.best_bid, prices.best_ask
    return {
        "symbol": prices.market.id,
        "bidPrice": text(bid[0]),
        "bidQty": text(bid[1]),
        "askPrice": text(ask[0]),
        "askQty": text(ask[1]),
    }


def day_ticker(prices: Prices, now_ms: int) -> Json:
    """`ticker/24hr`; the day begins when the venue opens."""
    day, last = prices.day, prices.trades[-1]
    return {
        **book_ticker(prices),
        "priceChange": text(day.close - day.open),
        "priceChangePercent": _percent(day),
        "weightedAvgPrice": text(day.quote_volume / day.volume),
        "prevClosePrice": text(day.open),
        "lastPrice": text(day.close),
        "lastQty": text(last.quantity),
        "openPrice": text(day.open),
        "highPrice": text(day.high),
        "lowPrice": text(day.low),
        "volume": text(day.volume),
        "quoteVolume": text(day.quote_volume),
        "openTime": day.open_ms,
        "closeTime": now_ms,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def kline(candle: Candle, interval_ms: int) -> list[object]:
    """One row of `klines`."""
    half = candle.volume / 2
    return [
        candle.open_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        candle.open_ms + interval_ms - 1,
        text(candle.quote_volume),
        candle.trades,
        text(half),
        text(half * candle.close),
        "0",
    ]


def ticker_event(tick: Tick) -> Json:
    """`24hrTicker` of the `<symbol>@ticker` stream."""
    day = tick.day
    return {
        "e": "24hrTicker",
        "E": tick.time_ms,
        "s": tick.market.id,
        "p": text(day.close - day.open),
        "P": _percent(day),
        "w": text(day.quote_volume / day.volume),
        "x": text(day.open),
        "c": text(day.close),
        "Q": text(tick.trade.quantity),
        "b": text(tick.best_bid[0]),
        "B": text(tick.best_bid[1]),
        "a": text(tick.best_ask[0]),
        "A": text(tick.best_ask[1]),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
        "O": day.open_ms,
        "C": tick.time_ms,
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": day.trades,
    }


def mini_ticker_event(tick: Tick) -> Json:
    """`24hrMiniTicker`."""
    day = tick.day
    return {
        "e": "24hrMiniTicker",
        "E": tick.time_ms,
        "s": tick.market.id,
        "c": text(day.close),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
    }


def book_ticker_event(tick: Tick) -> Json:
    """`<symbol>@bookTicker`, which has neither an event name nor a time on spot."""
    return {
        "u": tick.last_update_id,
        "s": tick.market.id,
        "b": text(tick.best_bid[0]),
        "B": text(tick.best_bid[1]),
        "a": text(tick.best_ask[0]),
        "A": text(tick.best_ask[1]),
    }


def trade_event(tick: Tick) -> Json:
    """`<symbol>@trade`."""
    trade = tick.trade
    return {
        "e": "trade",
        "E": tick.time_ms,
        "s": tick.market.id,
        "t": trade.id,
        "p": text(trade.price),
        "q": text(trade.quantity),
        "T": trade.time_ms,
        "m": trade.is_buyer_maker,
        "M": True,
    }


def aggregate_trade_event(tick: Tick) -> Json:
    """`<symbol>@aggTrade`."""
    return {"e": "aggTrade", "E": tick.time_ms, "s": tick.market.id, **aggregate_trade(tick.trade)}


def depth_event(tick: Tick) -> Json:
    """`<symbol>@depth`: what changed in the book."""
    return {
        "e": "depthUpdate",
        "E": tick.time_ms,
        "s": tick.market.id,
        "U": tick.first_update_id,
        "u": tick.last_update_id,
        "b": _levels(tick.changed_bids),
        "a": _levels(tick.changed_asks),
    }


def kline_event(tick: Tick, candle: Candle, interval: str, interval_ms: int, *, is_closed: bool) -> Json:
    """`<symbol>@kline_<interval>`."""
    half = candle.volume / 2
    return {
        "e": "kline",
        "E": tick.time_ms,
        "s": tick.market.id,
        "k": {
            "t": candle.open_ms,
            "T": candle.open_ms + interval_ms - 1,
            "s": tick.market.id,
            "i": interval,
            "f": candle.first_trade_id,
            "L": candle.last_trade_id,
            "o": text(candle.open),
            "c": text(candle.close),
            "h": text(candle.high),
            "l": text(candle.low),
            "v": text(candle.volume),
            "n": candle.trades,
            "x": is_closed,
            "q": text(candle.quote_volume),
            "V": text(half),
            "Q": text(half * candle.close),
            "B": "0",
        },
    }


def rate_limits(budget: Budget) -> list[Json]:
    """`rateLimits` of a WebSocket API answer."""
    return [
        {
            "rateLimitType": limit.kind,
            "interval": limit.interval,
            "intervalNum": limit.interval_count,
            "limit": limit.limit,
            "count": budget.used(limit),
        }
        for limit in budget.limits
    ]


def _levels(levels: Iterable[Level]) -> list[list[str]]:
    return [[text(price), text(quantity)] for price, quantity in levels]


def _percent(day: Candle) -> str:
    return str(((day.close - day.open) / day.open * 100).quantize(_TEN_THOUSANDTH))
