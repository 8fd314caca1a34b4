"""What the command line takes, and what it refuses before anything starts."""

import argparse
from pathlib import Path

import pytest
from tickspan_desk.command import DeskCommand
from tickspan_desk.options import add_options


def _parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return parser.parse_args(arguments)


def test_without_a_word_it_is_modest():
    assert vars(_parse()) == {
        "port": None,
        "otlp_port": None,
        "store": None,
        "memory": False,
        "max_bytes": 1 << 30,
        "max_age": 7 * 86_400.0,
        "opens": False,
        "listen_elsewhere": None,
        "forward": None,
        "load": None,
        "grpc": False,
    }


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("512M", 512 << 20), ("2g", 2 << 30), ("1.5 GiB", 3 << 29), ("4194304", 4 << 20)]
)
def test_a_size_has_a_unit(text: str, size_bytes: int):
    assert _parse("--max-bytes", text).max_bytes == size_bytes


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("15m", 900), ("12h", 43_200), ("1.5d", 129_600)])
def test_an_age_has_a_unit(text: str, seconds: float):
    assert _parse("--max-age", text).max_age == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "-1"],
        ["--otlp-port", "http"],
        ["--max-bytes", "3k"],
        ["--max-bytes", "much"],
        ["--max-age", "0"],
        ["--max-age", "-5m"],
        ["--forward", "collector:4318"],
        ["--forward", "ftp://collector"],
        ["--forward", "http://"],
        ["--forward", "http://[::1"],
        ["--listen-elsewhere", "0.0.0.0"],
        ["--listen-elsewhere", "::"],
        ["--listen-elsewhere", "127.0.0.1"],
        ["--listen-elsewhere", "myhost"],
        ["--store", "a", "--memory"],
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments: list[str]):
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        _parse(*arguments)


def test_a_store_is_a_file():
    assert _parse("--store", "here.sqlite").store == Path("here.sqlite")


@pytest.mark.parametrize(
    "words", [["--store", "x", "--json", "save", "f"], ["save", "f", "--store", "x", "--json"]]
)
def test_what_is_said_before_an_action_holds_for_it(words: list[str]):
    parser = argparse.ArgumentParser()
    DeskCommand().add_options(parser)
    told = parser.parse_args(words)
    assert (told.store, told.json, told.spool, told.file) == (Path("x"), True, None, Path("f"))


@pytest.mark.parametrize("action", [[], ["save"], ["export"], ["replay"]])
def test_every_help_ends_with_the_exit_statuses(action: list[str], capsys: pytest.CaptureFixture[str]):
    parser = argparse.ArgumentParser()
    DeskCommand().add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([*action, "--help"])
    assert "exit status: 0" in capsys.readouterr().out
