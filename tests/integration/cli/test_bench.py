"""`tickspan bench` against a real Redis and a real database file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from tickspan.cli import main
from tickspan.cli.bench import transactions, whole

pytestmark = pytest.mark.integration

SECONDS = "0.02"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["bench", *words, "--json", "--seconds", SECONDS]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_path_to_redis_is_measured_and_the_keys_are_gone_afterwards(
    redis_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client: Any = redis.Redis.from_url(redis_server)
    before = set(client.keys("*"))
    found = told(capsys, "redis", "--url", redis_server)
    left = set(client.keys("*")) - before
    client.close()
    assert [path["name"] for path in found["paths"]] == [
        "redis-py: GET",
        "redis-py: SET",
        "redis-py: pipelines of 100 GETs",
        "redis.asyncio: GET by 1 task",
        "cache.mux: GET by 1 task",
        "redis.asyncio: GET by 20 tasks",
        "cache.mux: GET by 20 tasks",
        "redis.asyncio: GET by 100 tasks",
        "cache.mux: GET by 100 tasks",
        "cache.mux: SET by 100 tasks",
        "a region: GET by 1 task",
        "a region: GET by 100 tasks",
    ]
    assert [path["name"] for path in found["paths"] if path["timing"]["per_second"] <= 0] == []
    assert [figure["target"] for figure in found["figures"]] == ["1 to 5 ms, 100,000 a second"]
    assert left == set()


def test_a_database_is_measured_bare_and_recorded_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "desk.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    found = told(capsys, "pools")
    assert {path["name"]: path["stands_on"] for path in found["paths"]} == {
        "checkout, bare": "",
        "checkout, from create_database_pool": "checkout, bare",
        "checkout, under tickspan.init()": "checkout, bare",
        "SELECT by key, bare": "",
        "SELECT by key, from create_database_pool": "SELECT by key, bare",
        "SELECT by key, under tickspan.init()": "SELECT by key, bare",
    }
    assert [figure["what"] for figure in found["figures"]] == ["simple SELECT, sqlite"]
    assert file.read_bytes() == b""


def test_a_redis_is_started_measured_and_stopped_where_none_is_named(
    redis_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []
    measured = whole.redis.measured

    def watched(url: str, seconds: float, option: str) -> Any:
        started.append(url)
        return measured(url, seconds, option)

    monkeypatch.setattr(whole.redis, "measured", watched)
    main(["bench", "--only", "redis", "--json", "--seconds", SECONDS])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    (url,) = started
    with pytest.raises(redis.ConnectionError), redis.Redis.from_url(url) as client:
        client.ping()
    assert url != redis_server
    assert (row["name"], row["target"]) == ("redis", "1 to 5 ms, 100,000 a second")
    assert row["standing"] in {"met", "missed"}


def test_a_named_redis_is_measured_and_left_as_it_was(
    redis_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client: Any = redis.Redis.from_url(redis_server)
    before = set(client.keys("*"))
    main(["bench", "--only", "redis", "--redis", redis_server, "--json", "--seconds", SECONDS])
    left = set(client.keys("*")) - before
    client.close()
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert "by pipelines of 100" in row["method"]
    assert "one call after another" in row["limit"]
    assert left == set()


def test_transactions_are_delivered_decoded_and_compared() -> None:
    told = transactions.measured(0.02)
    assert told.transactions > told.timing.calls > 0
    assert told.is_delivered
