"""Settings and URLs of Redis."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.cache.remote.settings import Place, RemoteSettings, connection_arguments


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://cache:6380/3", Place("cache", 6380, db=3)),
        ("redis://cache", Place("cache")),
        ("redis://cache/0?protocol=2", Place("cache", options={"protocol": 2})),
        ("rediss://me:p%40ss@cache/1", Place("cache", db=1, tls=True, username="me", password="p@ss")),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none",
            Place("cache", tls=True, options={"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "none"}),
        ),
        ("unix:///run/redis.sock?db=2", Place(path="/run/redis.sock", db=2)),
        (
            "redis+sentinel://me:secret@one:1,two/main/4",
            Place(
                "one",
                1,
                db=4,
                username="me",
                password="secret",
                sentinels=(("one", 1), ("two", 26379)),
                service="main",
            ),
        ),
        ("redis+cluster://node:7000", Place("node", 7000, cluster=True)),
        ("rediss+cluster://node:7000", Place("node", 7000, tls=True, cluster=True)),
    ],
)
def test_a_url_names_a_place(url: str, place: Place):
    assert RemoteSettings().with_url(url).place() == place


def test_settings_name_one_without_a_url():
    settings = RemoteSettings(host="cache", port=1, db=2, username="me", password="secret")
    assert settings.place() == Place("cache", 1, db=2, username="me", password="secret")


def test_a_password_of_the_settings_is_used_where_the_url_has_none():
    settings = RemoteSettings(password="secret")
    assert settings.with_url("redis://cache").place().password == "secret"
    assert settings.with_url("redis://:other@cache").place().password == "other"


def test_limits_of_the_url_win():
    settings = RemoteSettings(timeout_s=1.0).with_url(
        "redis://cache?socket_timeout=0.2&socket_connect_timeout=0.3&max_connections=7"
    )
    assert (settings.timeout_s, settings.connect_timeout_s, settings.max_connections) == (0.2, 0.3, 7)


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "cache:6379",
        "redis://cache/main",
        "redis://cache?sokcet_timeout=1",
        "redis://cache?socket_timeout=soon",
        "redis+sentinel://one:1",
        "redis+sentinel://one:x/main",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str):
    with pytest.raises(ValueError, match=r"(?i)redis"):
        RemoteSettings().with_url(url)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0},
        {"connect_timeout_s": float("inf")},
        {"max_pending": 0},
        {"breaker_failures": 0},
        {"breaker_max_s": 0.5},
        {"sentinels": (("one", 1),)},
        {"service": "main"},
    ],
)
def test_limits_out_of_range_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RemoteSettings(**wrong)


def test_no_secret_shows():
    settings = RemoteSettings(
        password="hunter2",
        username="hunter2",
        sentinel_password="hunter2",
        options={"ssl_password": "hunter2"},
    ).with_url("redis://hunter2:hunter2@cache")
    place = settings.place()
    assert "hunter2" not in f"{settings!r} {place!r} {place}"


def test_connections_are_tried_once_and_within_the_limits():
    arguments = connection_arguments(Place("cache", 1), RemoteSettings())
    assert {name: arguments[name] for name in ("socket_timeout", "socket_connect_timeout", "protocol")} == {
        "socket_timeout": 0.05,
        "socket_connect_timeout": 0.25,
        "protocol": 3,
    }


def test_a_credential_provider_takes_the_place_of_a_password():
    provider = object()
    assert Place(username="me", credential_provider=provider).login() == {"credential_provider": provider}
