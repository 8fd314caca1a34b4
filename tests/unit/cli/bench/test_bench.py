"""`tickspan bench` without a server: the cache, and what is said when something is missing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tickspan.cache import Cache
from tickspan.cli import main

NOBODY = "redis://user:hush@127.0.0.1:1/0"


def test_the_cache_is_measured_beside_a_dict_and_an_empty_function(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "cache", "--seconds", "0.004", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {path["name"]: path["stands_on"] for path in told["paths"]} == {
        "an empty function": "",
        "dict.get": "an empty function",
        "get_nowait": "dict.get",
        "get_nowait, a mapping of one's own": "dict.get",
        "set_nowait": "dict.get",
        "@cached": "dict.get",
        "await get": "get_nowait",
        "await @cached": "get_nowait",
    }
    assert [path["name"] for path in told["paths"] if not path["timing"]["per_second"] > 0] == []
    (figure,) = told["figures"]
    assert (figure["what"], figure["target"]) == (
        "GET of a value in memory",
        "below 1 ms, 1,000,000 a second",
    )


def test_a_cache_that_gives_other_values_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made = Cache.region

    def another(key: object, default: object = None) -> str:
        return "another"

    def region(self: Cache, name: str, *arguments: object, **rules: object) -> object:
        there = made(self, name, *arguments, **rules)  # pyright: ignore[reportCallIssue, reportArgumentType] - as it came
        there.get_nowait = another
        return there

    monkeypatch.setattr(Cache, "region", region)
    assert main(["bench", "cache", "--seconds", "0.004"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "tickspan bench: get_nowait gave another value than was stored: nothing was measured"
    )


def test_a_server_that_does_not_answer_is_named_without_its_password(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "redis", "--url", NOBODY]) == 2
    said = capsys.readouterr().err
    assert "does not answer (ConnectionError); start a server, or name one with --url" in said
    assert "127.0.0.1:1" in said
    assert "hush" not in said


def test_a_url_of_something_else_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "redis", "--url", "http://localhost"]) == 2
    assert capsys.readouterr().err.startswith("tickspan bench: --url: ")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("action", "library", "extra"),
    [("cache", "msgspec", "cache"), ("redis", "redis", "cache"), ("pools", "sqlalchemy", "pools")],
)
def test_a_library_that_is_not_there_is_named_with_its_extra(action: str, library: str, extra: str):
    program = f"import sys; sys.modules[{library!r}] = None; from tickspan.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "bench", action, "--seconds", "0.01"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = done.stderr.splitlines()[-1]
    assert (library in told, told.count("pip install"), done.returncode) == (True, 1, 2)
    assert told.endswith(f": pip install 'tickspan[{extra}]'")


@pytest.mark.integration
def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["bench", "pools", "--url", "nosuch://user:hush@127.0.0.1:1/x", "--seconds", "0.01"]) == 2
    said = capsys.readouterr().err
    assert "cannot be measured: NoSuchModuleError; is the URL right, and its server up?" in said
    assert "hush" not in said
