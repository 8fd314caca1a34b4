"""What `tickspan doctor` says of the cache."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import redis

from tickspan.cli.cache_finding import cache_findings
from tickspan.cli.finding import Finding
from tickspan.config import ProcessCacheSettings, RedisSettings, Settings


def _told(settings: Settings, timeout_s: float = 0.5) -> list[Finding]:
    return list(cache_findings(settings, timeout_s))


def test_without_redis_the_cache_is_memory_only() -> None:
    assert _told(Settings()) == [Finding("cache", None, "memory only: cache.url names no Redis")]


def test_a_disk_is_named_too(tmp_path: Path) -> None:
    told = _told(Settings(cache=ProcessCacheSettings(disk=str(tmp_path / "cache" / "desk"))))
    assert (told, list(tmp_path.iterdir())) == (
        [Finding("cache", None, "memory and disk: cache.url names no Redis")],
        [],
    )


def test_a_disk_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    told = _told(Settings(cache=ProcessCacheSettings(disk=str(file / "desk"))))
    assert told == [
        Finding("cache", is_well=False, detail=f"cache.disk cannot be used: {file}: Not a directory"),
        Finding("cache", None, "memory only: cache.url names no Redis"),
    ]


def test_a_redis_that_is_not_there_is_a_failure_that_names_the_place_and_no_password() -> None:
    settings = Settings(redis=RedisSettings(host="127.0.0.1", port=1, password="hunter2"))
    (finding,) = _told(settings)
    assert finding == Finding(
        "cache",
        is_well=False,
        detail="Redis at 127.0.0.1:1/0 does not answer (ConnectionError): the cache goes on with memory only",
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis+sentinel://one:1,two:2/primary/0", "Redis by sentinels: not asked"),
        ("redis+cluster://one:1", "Redis by a cluster: not asked"),
    ],
)
def test_sentinels_and_clusters_are_not_asked(url: str, told: str) -> None:
    assert _told(Settings(cache=ProcessCacheSettings(url=url))) == [Finding("cache", None, told)]


def test_a_url_that_is_none_is_a_failure() -> None:
    (finding,) = _told(Settings(cache=ProcessCacheSettings(url="http://cache")))
    assert (finding.subject, finding.is_well) == ("cache", False)


def test_a_missing_library_is_a_failure_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "tickspan.cache.remote.libraries", raising=False)
    (finding,) = _told(Settings(redis=RedisSettings(host="127.0.0.1")))
    assert (finding.is_well, "tickspan[cache]" in finding.detail) == (False, True)


@pytest.mark.integration
def test_a_redis_that_answers_and_tracks_is_well(redis_server: str) -> None:
    (finding,) = _told(Settings(cache=ProcessCacheSettings(url=redis_server)))
    assert finding.is_well is True
    assert finding.detail.startswith("Redis ")
    assert finding.detail.endswith(" answers and tells of changes")


@pytest.mark.integration
def test_a_redis_that_refuses_to_track_is_said(redis_server: str) -> None:
    with redis.Redis.from_url(redis_server) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "+@all", "-client|tracking", "~*")
    url = redis_server.replace("redis://", "redis://reader:secret@")
    (finding,) = _told(Settings(cache=ProcessCacheSettings(url=url)))
    assert finding.is_well is None
    assert "refuses CLIENT TRACKING (NoPermissionError)" in finding.detail
    assert "secret" not in finding.detail
