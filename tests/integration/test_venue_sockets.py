"""The simulated venue's WebSockets as a client without ccxt speaks them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan.testing.venue.credentials import Credentials

pytestmark = pytest.mark.integration

Talk = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]


def converse(venue: VenueSimulator, path: str, talk: Talk) -> Any:
    """What `talk` returns after speaking on one WebSocket."""

    async def run() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(venue.connect.ws_url + path) as socket,
            asyncio.timeout(20),
        ):
            return await talk(socket)

    return asyncio.run(run())


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, params: Any) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": params})
    return await socket.receive_json()


def signed(venue: VenueSimulator) -> dict[str, Any]:
    params: dict[str, Any] = {"apiKey": venue.connect.api_key, "timestamp": time.time_ns() // 1_000_000}
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    credentials = Credentials(venue.connect.api_key, venue.connect.secret)
    return {**params, "signature": credentials.sign(payload)}


def test_a_combined_stream_wraps_each_message_with_its_name():
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> Any:
        return [await socket.receive_json() for _ in range(2)]

    with VenueSimulator() as venue:
        told = converse(venue, "/stream?streams=btcusdt@trade/ethusdt@depth5", talk)

    assert [message["stream"] for message in told] == ["btcusdt@trade", "ethusdt@depth5"]
    assert told[0]["data"]["s"] == "BTCUSDT"
    assert len(told[1]["data"]["bids"]) == 5


def test_a_session_that_logged_on_needs_no_more_signatures():
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> Any:
        now = {"timestamp": time.time_ns() // 1_000_000}
        before = await ask(socket, "account.status", now)
        await ask(socket, "session.logon", signed(venue))
        during = await ask(socket, "account.status", now)
        subscribed = await ask(socket, "userDataStream.subscribe", {})
        await ask(socket, "session.logout", {})
        after = await ask(socket, "account.status", now)
        return before["error"]["code"], during["status"], subscribed["result"], after["error"]["code"]

    with VenueSimulator(behaviour=Behaviour(tick_interval_s=0)) as venue:
        told = converse(venue, "/ws-api/v3", talk)

    assert told == (-2014, 200, {"subscriptionId": 0}, -2014)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": 1, "method": "order.fly"}'])
def test_a_message_that_makes_no_sense_is_answered_and_the_session_lives_on(text: str):
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> Any:
        await socket.send_str(text)
        refused = await socket.receive_json()
        return refused["error"]["code"], (await ask(socket, "ping", {}))["status"]

    with VenueSimulator() as venue:
        assert converse(venue, "/ws-api/v3", talk) == (-1020, 200)


def test_answers_carry_the_used_limits():
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> Any:
        return (await ask(socket, "time", {}))["rateLimits"][0]

    with VenueSimulator() as venue:
        told = converse(venue, "/ws-api/v3", talk)

    assert told == {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": 6_000,
        "count": 1,
    }


def test_a_stream_session_lists_what_it_subscribed_to_and_refuses_what_it_does_not_know():
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> Any:
        await ask(socket, "SUBSCRIBE", ["btcusdt@trade", "btcusdt@nothing"])
        listed = await ask(socket, "LIST_SUBSCRIPTIONS", [])
        return listed["result"], (await ask(socket, "SING", []))["error"]["code"]

    with VenueSimulator(behaviour=Behaviour(tick_interval_s=0)) as venue:
        told = converse(venue, "/ws", talk)
        lacked = [unimplemented.path for unimplemented in venue.unimplemented]

    assert told == (["btcusdt@trade"], 2)
    assert lacked == ["btcusdt@nothing"]
