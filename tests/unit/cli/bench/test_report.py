"""How measurements are told to people and to programs."""

from __future__ import annotations

import argparse
import json

import pytest

from tickspan.cli.bench import report
from tickspan.cli.bench.report import Figure, Path, Report, check, missing, publish
from tickspan.cli.bench.timing import Timing
from tickspan.cli.errors import CommandError

FIGURE = Figure("GET", "below 1 ms", "2 us", "one thread", "the interpreter", is_met=True)
REPORT = Report(
    "cache",
    (
        Path("dict.get", Timing(10, 20_000_000, 0.00000005, 0.0000001)),
        Path("get_nowait", Timing(10, 5_000_000, 0.0000002, 0.0000035), "dict.get"),
        Path("GET", Timing(10, 20_000, 0.00005, 0.002), "nothing of that name"),
    ),
    (FIGURE,),
)


def published(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> str:
    assert publish(REPORT, argparse.Namespace(json=as_json)) == 0
    return capsys.readouterr().out


def test_a_path_is_told_beside_the_one_that_it_stands_on(capsys: pytest.CaptureFixture[str]):
    head, empty, *lines = published(capsys, as_json=False).splitlines()
    assert head.startswith("cache: tickspan ")
    assert [empty, *lines] == [
        "",
        "per second     p50     p99  beside          path",
        "20,000,000   50 ns  100 ns  -               dict.get",
        " 5,000,000  200 ns  3.5 us  0.25x dict.get  get_nowait",
        "    20,000   50 us  2.0 ms  -               GET",
        "",
        "met: GET",
        "  target  below 1 ms",
        "  here    2 us",
        "  how     one thread",
        "  limit   the interpreter",
    ]


def test_a_missed_figure_is_said_so_and_is_no_failure(capsys: pytest.CaptureFixture[str]):
    missed = Figure("GET", "below 1 ms", "2 s", "one thread", "the wire", is_met=False)
    assert publish(Report("cache", (), (missed,)), argparse.Namespace(json=False)) == 0
    assert "not met: GET" in capsys.readouterr().out


def test_data_have_all_of_it(capsys: pytest.CaptureFixture[str]):
    told = json.loads(published(capsys, as_json=True))
    assert set(told.pop("where")) == {"tickspan", "python", "cores", "load"}
    assert told == {
        "title": "cache",
        "paths": [
            {
                "name": path.name,
                "timing": {
                    "calls": path.timing.calls,
                    "per_second": path.timing.per_second,
                    "p50_s": path.timing.p50_s,
                    "p99_s": path.timing.p99_s,
                },
                "stands_on": path.stands_on,
            }
            for path in REPORT.paths
        ],
        "figures": [
            {
                "what": "GET",
                "target": "below 1 ms",
                "found": "2 us",
                "method": "one thread",
                "limit": "the interpreter",
                "is_met": True,
            }
        ],
    }


def test_a_wrong_value_ends_the_command_without_showing_it():
    with pytest.raises(CommandError) as raised:
        check("secret", "other", "get_nowait")
    assert str(raised.value) == "get_nowait gave another value than was stored: nothing was measured"
    assert raised.value.status == 1


def test_a_missing_library_is_named_with_the_extra_that_brings_it():
    error = missing(ImportError("No module named 'msgspec'", name="msgspec"), "cache")
    assert (str(error), error.status) == ("msgspec is not installed: pip install 'tickspan[cache]'", 2)


def test_an_error_that_says_what_to_install_is_told_as_it_is():
    told = "the cache needs msgspec: pip install 'tickspan[cache]'"
    assert str(missing(ImportError(told), "cache")) == told


@pytest.mark.parametrize("text", ["0", "-1", "61", "fast", "nan"])
def test_seconds_are_a_number_of_a_minute_at_most(text: str):
    parser = argparse.ArgumentParser(exit_on_error=False)
    report.add_common_options(parser)
    with pytest.raises(argparse.ArgumentError, match="expected seconds from 0 to 60, got"):
        parser.parse_args(["--seconds", text])


def test_progress_is_a_line_each_where_nobody_sits_before_a_terminal(capsys: pytest.CaptureFixture[str]):
    report.tell("get")
    report.tell("set")
    assert capsys.readouterr().err == "get\nset\n"
