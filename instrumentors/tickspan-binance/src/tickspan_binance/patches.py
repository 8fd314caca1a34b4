"""The table: which functions of python-binance tell what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import OrderMethod, OrderUpdate, ReadLoopPatch, Source, Stamp, open_call

from tickspan_binance import describe, read, refusals, stamp, streaming, wire
from tickspan_binance.feeds import lines_of
from tickspan_binance.routes import BINANCE

SYNC: Final = "binance.client"
ASYNC: Final = "binance.async_client"
BASE: Final = "binance.base_client"
SOCKET: Final = "binance.ws.reconnecting_websocket"
API: Final = "binance.ws.websocket_api"
USER: Final = "binance.ws.keepalive_websocket"
MANAGER: Final = "binance.ws.streams"
THREADED: Final = "binance.ws.threaded_stream"
BOOK: Final = "binance.ws.depthcache"

Make = Callable[[Any, Workbench], Any]


def _orders(describes: Any, source: Source, talking: Make, stamps: Stamp, name: str) -> Make:
    """An order call around what is told of any request."""

    def reads(client: Any, result: Any) -> Sequence[OrderUpdate]:
        call = open_call()
        venue = call.request.venue if call is not None else BINANCE
        return read.answers(describe.place_of(client, venue), result, source)

    def make(original: Any, bench: Workbench) -> Any:
        method = OrderMethod(describes, reads, refusals.verdict, lines_of(bench).recent, stamps)
        return method.around(talking(original, bench), bench, name)

    return make


_REST: Final = _orders(describe.rest_order, Source.REST_RESPONSE, wire.talking, stamp.rest, "_request")
_WS: Final = _orders(describe.ws_order, Source.WS_API, wire.talking_by_socket, stamp.ws, "_ws_api_request")
_WS_CONTRACTS: Final = _orders(
    describe.ws_contract_order,
    Source.WS_API,
    wire.talking_by_contract_socket,
    stamp.ws_contract,
    "_ws_futures_api_request",
)

ROWS: Final[tuple[Row, ...]] = (
    Wrap(SYNC, "Client._request", _REST),
    Wrap(SYNC, "Client._handle_response", wire.answering),
    Wrap(ASYNC, "AsyncClient._request", _REST),
    Wrap(ASYNC, "AsyncClient._handle_response", wire.answering),
    Wrap(BASE, "BaseClient._get_request_kwargs", wire.handing_over),
    Wrap(BASE, "BaseClient._generate_signature", wire.signing),
    Wrap(BASE, "BaseClient._generate_ws_api_signature", wire.signing),
    Wrap(BASE, "BaseClient._ws_api_request", _WS),
    Wrap(BASE, "BaseClient._ws_futures_api_request", _WS_CONTRACTS),
    Wrap(API, "WebsocketAPI.request", wire.requesting),
    Wrap(API, "WebsocketAPI._ensure_ws_connection", wire.sending),
    Wrap(API, "WebsocketAPI.__aexit__", streaming.closing),
    Wrap(SOCKET, "ReconnectingWebsocket.connect", streaming.connecting),
    Wrap(SOCKET, "ReconnectingWebsocket._handle_message", streaming.handling),
    Wrap(SOCKET, "ReconnectingWebsocket._propagate_error", streaming.ending),
    Wrap(SOCKET, "ReconnectingWebsocket.recv", streaming.delivering),
    Wrap(SOCKET, "ReconnectingWebsocket.__aexit__", streaming.closing),
    ReadLoopPatch(SOCKET, "ReconnectingWebsocket._read_loop"),
    Wrap(USER, "KeepAliveWebsocket.connect", streaming.connecting),
    Wrap(USER, "KeepAliveWebsocket.recv", streaming.delivering),
    Wrap(USER, "KeepAliveWebsocket.__aexit__", streaming.closing),
    ReadLoopPatch(USER, "KeepAliveWebsocket._start_socket_timer"),
    Wrap(MANAGER, "BinanceSocketManager._get_socket", streaming.owning),
    Wrap(THREADED, "ThreadedApiManager.start_listener", streaming.calling_back),
    Wrap(BOOK, "BaseDepthCacheManager.recv", streaming.redelivering),
)
