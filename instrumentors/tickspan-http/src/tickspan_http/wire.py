"""Where the libraries send and answer: the same story for requests, httpx and aiohttp."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.wrapping import Begin, Finish, wrapped

from tickspan_http.calls import Response, VenueRequest, Venues, current_request
from tickspan_http.outgoing import Outgoing, outgoing

Read = Callable[[tuple[Any, ...], Mapping[str, Any]], Outgoing]
"""Arguments of a library's send to the request in them."""

_venues: Final[weakref.WeakKeyDictionary[Workbench, Venues]] = weakref.WeakKeyDictionary()
_unread: Final[weakref.WeakKeyDictionary[Any, VenueRequest]] = weakref.WeakKeyDictionary()
"""aiohttp's responses whose body nobody has read yet."""


def venues_of(bench: Workbench) -> Venues:
    """The venues that all rows of one instrumentor share."""
    known = _venues.get(bench)
    if known is None:
        known = _venues[bench] = Venues(bench)
    return known


def _sending(original: Any, bench: Workbench, read: Read, finish: Callable[[VenueRequest, Any], None]) -> Any:
    venues = venues_of(bench)

    def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> VenueRequest | None:
        request = venues.begin(read(args, kwargs))
        if request is not None:
            request.resume()
        return request

    def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> VenueRequest | None:
        return venues.guard.own(decide, args, kwargs, default=None)

    return wrapped(original, cast("Begin", begin), cast("Finish", finish))


# requests


def requests_sending(original: Any, bench: Workbench) -> Any:
    """`Session.send(request, **kwargs)`."""
    return _sending(original, bench, _of_requests, _finished_requests)


def _of_requests(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
    request = args[1] if len(args) > 1 else kwargs["request"]
    return outgoing("requests", request.method or "", request.url or "", request.body)


def _finished_requests(request: VenueRequest, response: Any) -> None:
    # `_content` is False until the body was read: a stream is the caller's to read.
    body = getattr(response, "_content", None) or None
    request.finish(Response(response.status_code, response.headers, body))


def urllib3_attempting(original: Any, bench: Workbench) -> Any:
    """`HTTPConnectionPool._make_request`: below urllib3's own retries."""
    return _attempting(original, bench, lambda answer: Response(answer.status, answer.headers))


# httpx


def httpx_sending(original: Any, bench: Workbench) -> Any:
    """`Client.send` and `AsyncClient.send`."""
    return _sending(original, bench, _of_httpx, _finished_httpx)


def _of_httpx(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
    request = args[1] if len(args) > 1 else kwargs["request"]
    # `_content` is missing while the body is a stream.
    return outgoing("httpx", request.method, str(request.url), getattr(request, "_content", None))


def _finished_httpx(request: VenueRequest, response: Any) -> None:
    body = getattr(response, "_content", None)
    request.finish(Response(response.status_code, response.headers, body))


def httpx_attempting(original: Any, bench: Workbench) -> Any:
    """`Client._send_single_request` and the async one: one hop on the wire."""
    return _attempting(original, bench, lambda answer: Response(answer.status_code, answer.headers))


# aiohttp


def aiohttp_sending(original: Any, bench: Workbench) -> Any:
    """`ClientSession._request`: the caller reads the body later, or never."""
    return _sending(original, bench, _of_aiohttp, _headed)


def _of_aiohttp(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
    session, method, address = args[:3]
    url = session._build_url(address)  # noqa: SLF001 - joins its base and the address, as the call itself does
    params = kwargs.get("params")
    if params:
        url = url.extend_query(params) if hasattr(url, "extend_query") else url.update_query(params)
    body = kwargs.get("json") if kwargs.get("json") is not None else kwargs.get("data")
    return outgoing("aiohttp", method, str(url), body)


def _headed(request: VenueRequest, response: Any) -> None:
    request.release()
    if request.is_order:
        _unread[response] = request


def aiohttp_attempting(original: Any, bench: Workbench) -> Any:
    """`ClientRequest.send`: the bytes of one attempt, also aiohttp's own second one."""
    guard = venues_of(bench).guard

    @functools.wraps(original)
    async def send(*args: Any, **kwargs: Any) -> Any:
        request = current_request()
        if request is not None and bench.is_active:
            guard.own(request.attempt, default=None)
        return await original(*args, **kwargs)

    return send


def aiohttp_heading(original: Any, bench: Workbench) -> Any:
    """`ClientResponse.start`: the head of the answer has come."""
    guard = venues_of(bench).guard

    @functools.wraps(original)
    async def start(response: Any, *args: Any, **kwargs: Any) -> Any:
        result = await original(response, *args, **kwargs)
        request = current_request()
        if request is not None and bench.is_active:
            head = Response(response.status, response.headers)
            guard.own(request.received, head, default=None)
        return result

    return start


def aiohttp_reading(original: Any, bench: Workbench) -> Any:
    """`ClientResponse.read`, which `json` and `text` call too: the answer is complete."""
    del bench

    @functools.wraps(original)
    async def read(response: Any) -> Any:
        try:
            body = await original(response)
        except BaseException as error:
            request = _unread.pop(response, None)
            if request is not None:
                request.fail(error)
            raise
        request = _unread.pop(response, None)
        if request is not None:
            request.finish(Response(response.status, response.headers, body))
        return body

    return read


def aiohttp_leaving(original: Any, bench: Workbench) -> Any:
    """`ClientResponse.release` and `.close`: nobody wants the body."""
    del bench

    @functools.wraps(original)
    def leave(response: Any) -> Any:
        request = _unread.pop(response, None)
        if request is not None:
            request.finish(Response(response.status, response.headers))
        return original(response)

    return leave


def _attempting(original: Any, bench: Workbench, head: Callable[[Any], Response]) -> Any:
    """`original`, which sends one request once, with P6 before and P7 after it."""
    venues = venues_of(bench)

    class Attempt:
        """What `wrapped` drives; it is never current, its request is."""

        def __init__(self, request: VenueRequest) -> None:
            self._request = request

        def resume(self) -> None:
            """Nothing: the request is current already."""

        def release(self) -> None:
            """Nothing, as above."""

        def fail(self, error: BaseException) -> None:
            """The request's own business."""

        def received(self, answer: Any) -> None:
            """The answer's head is here."""
            venues.guard.own(lambda: self._request.received(head(answer)), default=None)

    def begin(_args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Attempt | None:
        request = current_request()
        if request is None or not bench.is_active:
            return None
        venues.guard.own(request.attempt, default=None)
        return Attempt(request)

    return wrapped(original, cast("Begin", begin), cast("Finish", Attempt.received))
