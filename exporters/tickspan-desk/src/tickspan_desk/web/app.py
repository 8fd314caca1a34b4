"""The application: pages, their JSON, documents, actions, live updates and static files behind one door."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tickspan_desk.store.reading import Reading, StoreStatistics
from tickspan_desk.web.live import Live
from tickspan_desk.web.page import Action, Asked, Document, NotFound, Page, Refused
from tickspan_desk.web.pages import documents, pages
from tickspan_desk.web.render import templates
from tickspan_desk.web.security import (
    BODY_MAX,
    HEADERS,
    LOOPBACK,
    Door,
    Knock,
    Refusal,
    is_known,
    is_token,
    judge,
    set_cookie,
)

__all__ = ["Guard", "make_app", "to_json"]

STATIC: Final = Path(__file__).parent / "static"
_BODY_TIMEOUT_S: Final = 10.0
_NEVER: Final = Page("", "", "", lambda _reading, _asked: None)
_NOTHING_KEPT: Final = StoreStatistics(0, 0, 0, 0, 0, 0, 0, 0.0, 0, {}, -1)
_BROKEN: Final = "It could not be made of what is kept. The desk's log says why; other pages are not touched."

_logger = logging.getLogger(__name__)


def make_app(
    reading: Reading,
    shown: Sequence[Page] | None = None,
    *,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    actions: Sequence[Action] = (),
) -> Starlette:
    """All pages over a store; `app.state.live.end()` ends its event streams.

    Args:
        reading: asked in worker threads.
        shown: pages; all of `tickspan_desk.web.pages` by default.
        token: that a browser's cookie or a client's bearer header must have. None lets everybody in.
        hosts: names that `Host` may have, lower case, without ports. By default those of loopback, or any
        where
            there is no token either, as in tests.
        actions: what buttons do.
    """
    rows = pages() if shown is None else tuple(shown)
    live = Live(reading)
    door = Door(token, hosts) if hosts is not None else Door(token, LOOPBACK if token else _Anything())
    show = _Show(reading, templates(), tuple(page for page in rows if page.title), door)
    app = Starlette(
        routes=[
            Route("/", show.front),
            Route("/login", show.front, methods=["GET"]),
            Route("/login", show.let_in, methods=["POST"]),
            Route("/live", partial(_follow, live)),
            *(Route(row.path, partial(show.document, row)) for row in documents()),
            *(Route(row.path, partial(show.act, row), methods=["POST"]) for row in actions),
            *(Route(row.path, partial(show.page, row)) for row in rows),
            *(Route(f"/api{row.path}", partial(show.json, row)) for row in rows),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, door=door, greet=show.greeting)],
        exception_handlers={HTTPException: show.no_such_page},
    )
    app.state.live = live
    return app


class _Anything(frozenset[str]):
    """Contains every name."""

    def __contains__(self, _name: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class _Show:
    """Answers to requests that have been let in."""

    reading: Reading
    environment: Environment
    menu: tuple[Page, ...]
    door: Door

    def front(self, request: Request) -> Response:
        """The first page; who is not let in yet is greeted."""
        if not is_known(self.door, request.headers):
            return HTMLResponse(self.greeting(HTTPStatus.OK))
        return RedirectResponse(self.menu[0].path if self.menu else "/static/desk.css")

    def page(self, page: Page, request: Request) -> Response:
        """A page, whatever becomes of it."""
        asked = _asked_of(request)
        try:
            return HTMLResponse(self._render(page, page.template, page.model(self.reading, asked), asked))
        except NotFound as missing:
            return HTMLResponse(self._render(page, "missing.html", missing, asked), HTTPStatus.NOT_FOUND)
        except Exception:  # the top of a request: one page is broken, the desk is not
            _logger.exception("page %s", page.path)
            # It may be the store that is broken: this page asks it nothing.
            template = self.environment.get_template("broken.html")
            text = template.render(
                model=_BROKEN, asked=asked, page=page, menu=self.menu, statistics=_NOTHING_KEPT
            )
            return HTMLResponse(text, HTTPStatus.INTERNAL_SERVER_ERROR)

    def json(self, page: Page, request: Request) -> Response:
        """The same values as JSON."""
        try:
            return _json(to_json(page.model(self.reading, _asked_of(request))))
        except NotFound as missing:
            return _json_error(missing, HTTPStatus.NOT_FOUND)
        except Exception:  # the top of a request
            _logger.exception("page %s as JSON", page.path)
            return _json_error(_BROKEN, HTTPStatus.INTERNAL_SERVER_ERROR)

    def document(self, document: Document, request: Request) -> Response:
        """A text to be copied or kept."""
        try:
            return Response(
                document.make(self.reading, _asked_of(request)),
                media_type=f"{document.media_type}; charset=utf-8",
            )
        except NotFound as missing:
            return Response(f"{missing}\n", HTTPStatus.NOT_FOUND, media_type="text/plain")
        except Exception:  # the top of a request
            _logger.exception("document %s", document.path)
            return Response(f"{_BROKEN}\n", HTTPStatus.INTERNAL_SERVER_ERROR, media_type="text/plain")

    async def act(self, action: Action, request: Request) -> Response:
        """What a button does."""
        try:
            told = await _object_of(request)
            return _json(to_json(await run_in_threadpool(action.run, _asked_of(request), told)))
        except NotFound as missing:
            return _json_error(missing, HTTPStatus.NOT_FOUND)
        except Refused as refused:
            return _json_error(refused, HTTPStatus.CONFLICT)
        except ValueError as wrong:
            return _json_error(wrong, HTTPStatus.BAD_REQUEST)
        except Exception:  # the top of a request
            _logger.exception("action %s", action.path)
            return _json_error("It failed; the desk's log says why.", HTTPStatus.INTERNAL_SERVER_ERROR)

    async def let_in(self, request: Request) -> Response:
        """The token that stood behind the address's `#` becomes a cookie that no script can read."""
        try:
            given = str((await _object_of(request)).get("token", ""))
        except ValueError as wrong:
            return _json_error(wrong, HTTPStatus.BAD_REQUEST)
        if not is_token(self.door, given):
            return _json_error("that is not the token of this desk", HTTPStatus.UNAUTHORIZED)
        cookie = set_cookie(request.headers.get("host", ""), given)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"set-cookie": cookie})

    def greeting(self, status: HTTPStatus) -> str:
        """The page that takes the token from the address, or asks for it."""
        return self.environment.get_template("greeting.html").render(is_front=status == HTTPStatus.OK)

    def no_such_page(self, request: Request, error: Exception) -> Response:
        """What no row answers."""
        assert isinstance(error, HTTPException)
        path = request.url.path
        if path.startswith(("/api/", "/static/")) or request.method == "POST":
            return _json_error(error.detail, HTTPStatus(error.status_code))
        said = f"There is no page {path[:200]}. The menu has all of them."
        text = self._render(_NEVER, "missing.html", said, _asked_of(request))
        return HTMLResponse(text, error.status_code)

    def _render(self, page: Page, template: str, model: object, asked: Asked) -> str:
        return self.environment.get_template(template).render(
            model=model, asked=asked, page=page, menu=self.menu, statistics=self.reading.statistics()
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """ASGI: asks `judge`, bounds what comes as a body, and puts `HEADERS` on every answer."""

    app: ASGIApp
    door: Door
    greet: Any
    """Makes the page for a browser that is not let in yet; gets the status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, or answer in its place."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing else is spoken here: the server answers 403 to a WebSocket that nobody accepts
        headers = Headers(scope=scope)
        refusal = judge(self.door, Knock(scope["method"], scope["path"], headers))
        inner = self.app if refusal is None else self._refuse(refusal, headers)
        await inner(scope, _bounded(receive), _with_headers(send))

    def _refuse(self, refusal: Refusal, headers: Headers) -> Response:
        if refusal.status == HTTPStatus.UNAUTHORIZED and "text/html" in headers.get("accept", ""):
            return HTMLResponse(self.greet(refusal.status), refusal.status)
        return _json_error(refusal.text, refusal.status)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if "status" in message:  # the head of the answer
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers


def _bounded(receive: Receive) -> Receive:
    """No body beyond what a head may announce: a body may be longer than its head says."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_MAX:
            raise ClientDisconnect
        return message

    return receive_bounded


async def _object_of(request: Request) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            told = json.loads(await request.body() or b"{}")
    except TimeoutError:
        raise ValueError("the body did not come") from None
    except ClientDisconnect:
        raise ValueError("the body was not as long as it said") from None
    except (ValueError, RecursionError):
        raise ValueError("expected a JSON object") from None
    if not isinstance(told, dict):
        raise ValueError(f"expected a JSON object, got {type(told).__name__}")  # noqa: TRY004 - of what came, answered with 400
    return told


def _asked_of(request: Request) -> Asked:
    pairs = tuple((str(name), str(value)) for name, value in request.query_params.multi_items())
    return Asked(dict(request.path_params), dict(pairs), time.time_ns(), pairs)


async def _follow(live: Live, request: Request) -> Response:
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return StreamingResponse(live.events(), media_type="text/event-stream")


def _json(told: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(told, ensure_ascii=False), status, media_type="application/json")


def _json_error(error: object, status: HTTPStatus) -> Response:
    return _json({"error": str(error)}, status)


def to_json(value: Any) -> Any:
    """A page's values as JSON knows them; numbers that it does not have are text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case Enum():
            return value.name.lower()
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value
