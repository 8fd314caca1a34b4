"""The door: who is turned away, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import httpx
import pytest
from tickspan_desk.store import Store
from tickspan_desk.web.page import Action, Asked, NotFound, Page, Refused
from tickspan_desk.web.security import (
    BODY_MAX,
    HEADERS,
    Door,
    Knock,
    cookie_name,
    is_token,
    judge,
    make_token,
    name_of_host,
    set_cookie,
)


class Visits(Protocol):
    """A visitor, as the fixture makes them."""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response: ...
    def post(self, path: str, told: object) -> httpx.Response: ...
    def ask(self, method: str, path: str, **request: Any) -> httpx.Response: ...


Browse = Callable[..., Visits]

TOKEN = "t" * 43
DOOR = Door(TOKEN)
HOST = {"host": "127.0.0.1:4300"}
COOKIE = {"cookie": f"tickspan_desk_4300={TOKEN}"}
JSON = {"content-type": "application/json", "content-length": "2"}


def status_of(method: str, path: str, headers: Mapping[str, str]) -> int:
    refusal = judge(DOOR, Knock(method, path, headers))
    return 0 if refusal is None else int(refusal.status)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**HOST, **COOKIE}, 0),
        ({**HOST, "authorization": f"Bearer {TOKEN}"}, 0),
        ({**HOST, "authorization": f"bearer {TOKEN}"}, 0),
        ({"host": "localhost:4300", **COOKIE}, 0),
        ({"host": "[::1]:4300", **COOKIE}, 0),
        ({"host": "LOCALHOST:4300", **COOKIE}, 0),
        ({**HOST, **COOKIE, "origin": "http://127.0.0.1:4300"}, 0),
        ({**HOST, "cookie": f"other=1; tickspan_desk_4300={TOKEN}; more=2"}, 0),
        ({**HOST}, 401),
        ({**HOST, "authorization": "Bearer "}, 401),
        ({**HOST, "authorization": f"Basic {TOKEN}"}, 401),
        ({**HOST, "authorization": f"Bearer {TOKEN}x"}, 401),
        ({**HOST, "cookie": f"tickspan_desk_4301={TOKEN}"}, 401),
        ({**HOST, "cookie": "tickspan_desk_4300="}, 401),
        ({"host": "evil.example:4300", **COOKIE}, 403),
        ({"host": "127.0.0.1.evil.example", **COOKIE}, 403),
        ({"host": "", **COOKIE}, 403),
        ({**COOKIE}, 403),
        ({**HOST, **COOKIE, "origin": "http://evil.example"}, 403),
        ({**HOST, **COOKIE, "origin": "http://127.0.0.1:4301"}, 403),
        ({**HOST, **COOKIE, "origin": "null"}, 403),
        ({**HOST, **COOKIE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({**HOST, **COOKIE, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({**HOST, **COOKIE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 0),
        ({**HOST, **COOKIE, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 0),
    ],
)
def test_a_page_is_for_who_names_the_desk_and_knows_the_token(
    headers: Mapping[str, str], status: int
) -> None:
    assert status_of("GET", "/traces", headers) == status
    assert status_of("GET", "/api/traces", headers) == status


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", JSON, 0),
        ("POST", {**JSON, "content-type": "Application/JSON; charset=utf-8"}, 0),
        ("POST", {**JSON, "content-type": "text/plain"}, 415),
        ("POST", {**JSON, "content-type": "application/x-www-form-urlencoded"}, 415),
        ("POST", {"content-length": "2"}, 415),
        ("POST", {"content-type": "application/json"}, 411),
        ("POST", {**JSON, "content-length": "-1"}, 411),
        ("POST", {**JSON, "content-length": str(BODY_MAX)}, 0),
        ("POST", {**JSON, "content-length": str(BODY_MAX + 1)}, 413),
        ("POST", {**JSON, "content-length": "9" * 5000}, 413),
        ("POST", {**JSON, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
        ("PUT", JSON, 405),
        ("DELETE", {}, 405),
        ("OPTIONS", {"origin": "http://evil.example"}, 403),
    ],
)
def test_a_change_is_a_bounded_post_of_json(method: str, headers: Mapping[str, str], status: int) -> None:
    assert status_of(method, "/api/save", {**HOST, **COOKIE, **headers}) == status


def test_styles_and_the_greeting_need_no_token_and_nothing_beside_them_does() -> None:
    asked = (
        "/",
        "/login",
        "/static/desk.css",
        "/staticx",
        "/login/",
        "/live",
        "/traces/static/",
        "//static/",
    )
    assert [status_of("GET", path, HOST) for path in asked] == [0, 0, 0, 401, 401, 401, 401, 401]


def test_a_door_without_a_token_lets_everybody_in_who_names_the_desk() -> None:
    door = Door(None)
    assert judge(door, Knock("GET", "/traces", HOST)) is None
    assert judge(door, Knock("GET", "/traces", {"host": "evil.example"})) is not None
    assert not is_token(door, "")


def test_a_token_has_256_bits_and_no_other_text_is_it() -> None:
    token = make_token()
    door = Door(token)
    assert len(token) == 43
    assert token != make_token()
    assert is_token(door, token)
    assert [is_token(door, text) for text in ("", token[:-1], token + "x", "ü", "\udce4")] == [False] * 5


def test_hosts_are_told_from_their_ports() -> None:
    hosts = ("127.0.0.1:80", "LocalHost", "[::1]:4300", "[::1]", "a:b", "")
    assert [name_of_host(host) for host in hosts] == [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::1]",
        "a:b",
        "",
    ]


def test_two_desks_on_one_host_keep_their_cookies_apart() -> None:
    assert cookie_name("127.0.0.1:4300") != cookie_name("127.0.0.1:4301")
    assert set_cookie("127.0.0.1:4300", "T") == "tickspan_desk_4300=T; Path=/; HttpOnly; SameSite=Strict"


def test_the_token_behind_the_address_becomes_a_cookie_that_opens_all_pages(
    browse: Browse,
) -> None:
    client = browse(token=TOKEN)
    before = client.get("/traces", headers={"accept": "text/html"})
    answer = client.post("/login", {"token": TOKEN})
    after = client.get("/traces")
    assert before.status_code == 401
    assert "greeting.js" in before.text
    assert "<main" not in before.text
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["set-cookie"] == f"tickspan_desk_4300={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert after.status_code == 200


def test_the_front_greets_who_is_not_known_and_leads_others_on(browse: Browse) -> None:
    client = browse(token=TOKEN)
    stranger = client.get("/")
    known = client.get("/", headers={"authorization": f"Bearer {TOKEN}"})
    assert (stranger.status_code, "greeting.js" in stranger.text) == (200, True)
    assert (known.status_code, known.headers["location"]) == (307, "/traces")


@pytest.mark.parametrize("token", ["", "wrong", "t" * 42, None, 7, ["t"]])
def test_a_wrong_token_opens_nothing(browse: Browse, token: object) -> None:
    answer = browse(token=TOKEN).post("/login", {"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/traces", "/static/desk.css", "/nowhere", "/live/x", "/api/nowhere"])
def test_every_answer_has_the_headers_that_bind_a_browser(browse: Browse, path: str) -> None:
    for client in (browse(token=TOKEN), browse()):
        answer = client.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_that_breaks_tells_one_line_and_no_traceback(
    browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_reading: object, _asked: Asked) -> object:
        raise RuntimeError("secret detail")

    client = browse(shown=[Page("/broken", "Broken", "traces.html", broken)])
    html, told = client.get("/broken"), client.get("/api/broken")
    assert (html.status_code, told.status_code) == (500, 500)
    assert "secret detail" not in html.text + told.text
    assert "Traceback" not in html.text + told.text
    ours = [record for record in caplog.records if record.name.startswith("tickspan_desk")]
    assert [record.exc_info is not None for record in ours] == [True, True]


def test_a_store_that_cannot_be_read_breaks_pages_in_one_line_too(browse: Browse, store: Store) -> None:
    visitor = browse()
    store.close()
    answers = [visitor.get(path) for path in ("/traces", "/api/traces", f"/traces/{'a' * 32}.json")]
    assert [answer.status_code for answer in answers] == [500, 500, 500]
    assert not [answer for answer in answers if "Traceback" in answer.text or "sqlite" in answer.text]
    assert [answer.headers["x-content-type-options"] for answer in answers] == ["nosniff"] * 3


def _greet(asked: Asked, told: Mapping[str, Any]) -> Mapping[str, Any]:
    name = told["name"]
    if name == "nobody":
        raise NotFound("nobody is here")
    if name == "twice":
        raise Refused("it was done already")
    if name == "odd":
        raise ValueError("expected a name")
    return {"message": f"Hello {name}", "path": dict(asked.path)}


def test_an_action_gets_an_object_and_its_answer_goes_back(browse: Browse) -> None:
    client = browse(actions=[Action("/api/greet/{who}", _greet)])
    answers = [client.post("/api/greet/me", {"name": name}) for name in ("Ada", "nobody", "twice", "odd")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"message": "Hello Ada", "path": {"who": "me"}}),
        (404, {"error": "nobody is here"}),
        (409, {"error": "it was done already"}),
        (400, {"error": "expected a name"}),
    ]


@pytest.mark.parametrize("body", [b"[]", b"{", b"7", b"[" * 30_000, b"\xff"])
def test_an_action_takes_nothing_but_an_object(browse: Browse, body: bytes) -> None:
    client = browse(actions=[Action("/api/greet", _greet)])
    answer = client.ask("POST", "/api/greet", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert list(answer.json()) == ["error"]


def test_an_action_is_not_reached_by_a_get_or_without_the_token(browse: Browse) -> None:
    action = Action("/api/greet", _greet)
    assert browse(actions=[action]).get("/api/greet").status_code == 405
    assert browse(actions=[action], token=TOKEN).post("/api/greet", {"name": "x"}).status_code == 401


def test_a_body_that_is_longer_than_it_said_is_given_up(browse: Browse) -> None:
    visitor = browse(actions=[Action("/api/greet", _greet)])
    headers = {"content-type": "application/json", "content-length": "2"}
    body = b'{"name": "' + b"x" * BODY_MAX + b'"}'
    answer = visitor.ask("POST", "/api/greet", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": "the body was not as long as it said"})
