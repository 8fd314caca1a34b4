"""`tickspan profile`: profiles shown, compared and asked for; programs run sampled."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tickspan.analysis.profiles import SPACE, Frame, Link, Profile, Sample
from tickspan.cli.main import main


def profile(counts: dict[str, int]) -> Profile:
    frames = tuple(Frame(name, "/bot/bot.py", 5, 3) for name in counts)
    stacks = ((), *((index,) for index in range(len(frames))))
    samples = tuple(
        Sample(place, "MainThread", "cpu", Link(1, 2), count, count * 10**7)
        for place, count in enumerate(counts.values(), 1)
    )
    return Profile("bot", "1", 7, 10**18, 2 * 10**9, 10**7, frames, stacks, samples, 0, 10**6)


@pytest.fixture
def before(tmp_path: Path) -> str:
    path = tmp_path / "before.profile"
    path.write_bytes(profile({"price": 600, "risk": 400}).dump())
    return str(path)


@pytest.fixture
def after(tmp_path: Path) -> str:
    path = tmp_path / "after.profile"
    path.write_bytes(profile({"price": 400, "risk": 600}).dump())
    return str(path)


def test_a_report_tells_states_functions_and_findings(before: str, capsys: pytest.CaptureFixture[str]):
    assert main(["profile", "report", before]) == 0
    assert capsys.readouterr().out == (
        "bot: 1,000 samples in 2.0 s; sampling took 0.05% of a processor\n"
        "\n"
        "states\n"
        "   100.0%  cpu\n"
        "\n"
        "own and total share of busy samples\n"
        "    60.0%   60.0%  price (bot.py:3)\n"
        "    40.0%   40.0%  risk (bot.py:3)\n"
        "\n"
        "findings\n"
        "  hot_function 60.0% at price (bot.py:3): make price (bot.py:3) cheaper, or call it less often\n"
        "  hot_function 40.0% at risk (bot.py:3): make risk (bot.py:3) cheaper, or call it less often\n"
    )


def test_a_report_is_data_too(before: str, capsys: pytest.CaptureFixture[str]):
    assert main(["profile", "report", before, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["service"], data["samples"], data["states"]) == ("bot", 1_000, {"cpu": 1.0})


@pytest.mark.parametrize(
    ("ending", "begins"),
    [
        ("html", b"<!DOCTYPE html>"),
        ("svg", b"<svg "),
        ("folded", b"MainThread;price (bot.py:5) 600\n"),
        ("pb.gz", b"\x1f\x8b"),
        ("otlp.gz", b"\x1f\x8b"),
        ("profile", b"x\x9c"),
    ],
)
def test_a_profile_takes_the_form_of_the_ending(before: str, tmp_path: Path, ending: str, begins: bytes):
    output = tmp_path / f"out.{ending}"
    assert main(["profile", "report", before, "-o", str(output)]) == 0
    written = output.read_bytes()
    assert written.startswith(begins)
    assert not ending.endswith("gz") or gzip.decompress(written)


def test_a_diff_tells_who_takes_more_and_fails(before: str, after: str, capsys: pytest.CaptureFixture[str]):
    assert main(["profile", "diff", before, after]) == 1
    assert capsys.readouterr().out == (
        "+ 20.0 points   40.0% ->  60.0%  risk (bot.py)\n- 20.0 points   60.0% ->  40.0%  price (bot.py)\n"
    )


def test_a_diff_of_equals_tells_so(before: str, capsys: pytest.CaptureFixture[str]):
    assert main(["profile", "diff", before, before]) == 0
    assert capsys.readouterr().out == "no function's share changed by 2 points or more, beyond chance\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "expected '-- COMMAND', or one of record, report, diff"),
        (["python", "bot.py"], 2, "expected '-- COMMAND'"),
        (["--"], 2, "expected a command"),
        (["--", "no-such-program-at-all"], 127, "no program 'no-such-program-at-all'"),
        (["report", "/no/such.profile"], 2, "/no/such.profile: No such file"),
        (["report", os.devnull], 2, "expected a profile that tickspan wrote"),
        (["record", "--pid", "4194305"], 2, "no process 4194305"),
        (["record", "--pid", "1", "--seconds", "0"], 2, "expected up to 600 seconds"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["profile", *arguments]) == status
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_an_ending_that_is_not_known_is_refused(before: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["profile", "report", before, "-o", "x.png"])
    assert ended.value.code == 2
    assert ".html, .svg, .pb.gz, .folded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["report", "x.profile", "-o", "no/such/folder/x.html"],
            "a folder that is there, got 'no/such/folder'",
        ),
        (["--hz", "0", "--", "python"], "expected a number from 0.01 to 1,000, got '0'"),
        (["--hz", "often", "--", "python"], "expected a number from 0.01 to 1,000, got 'often'"),
        (["record", "--pid", "1", "--hz", "nan"], "expected a number from 0.01 to 1,000, got 'nan'"),
        (["record", "--seconds", "1"], "--pid"),
        (["diff", "a.profile"], "B"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_sampled(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(["profile", *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_diff_takes_pprof_files_and_tells_data(
    before: str, after: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    paths = [str(tmp_path / "before.pb.gz"), str(tmp_path / "after.pb.gz")]
    for source, path in zip((before, after), paths, strict=True):
        assert main(["profile", "report", source, "-o", path]) == 0
    capsys.readouterr()
    assert main(["profile", "diff", *paths, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(one["function"], one["before"], one["after"]) for one in told] == [
        ("risk (bot.py)", 0.4, 0.6),
        ("price (bot.py)", 0.6, 0.4),
    ]


def test_a_profile_of_memory_is_told_in_bytes_and_never_compared_with_one_of_time(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    heap = tmp_path / "heap.profile"
    samples = (Sample(1, "", "", None, 2, 3 << 20), Sample(2, "", "", None, 1, 1 << 20))
    frames = (Frame("load", "/bot/bot.py", 5, 3), Frame("main", "/bot/bot.py", 9, 8))
    stacks = ((), (0, 1), (1,))
    taken = Profile("bot", "1", 7, 0, 1, 1, frames, stacks, samples, kind=SPACE)
    heap.write_bytes(taken.dump())
    assert main(["profile", "report", str(heap)]) == 0
    assert capsys.readouterr().out == (
        "<Profile bot 4.0 MiB in use, 3 stacks>\n\nown and total MiB in use\n"
        "       3.00      3.00  load (bot.py:3)\n       1.00      4.00  main (bot.py:8)\n"
    )
    assert main(["profile", "report", str(heap), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "service": "bot",
        "bytes": 4 << 20,
        "functions": [
            {"function": "load (bot.py:3)", "own_bytes": 3 << 20, "total_bytes": 3 << 20},
            {"function": "main (bot.py:8)", "own_bytes": 1 << 20, "total_bytes": 4 << 20},
        ],
    }
    assert main(["profile", "diff", before, str(heap)]) == 2
    assert "expected a profile of time, got one of memory" in capsys.readouterr().err


def test_profiles_without_busy_threads_cannot_be_compared(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    empty = tmp_path / "empty.profile"
    empty.write_bytes(profile({}).dump())
    assert main(["profile", "diff", before, str(empty)]) == 2
    assert "expected samples of busy threads in both profiles" in capsys.readouterr().err


def test_a_process_that_ends_while_it_is_sampled_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tmp_path.chmod(0o700)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    request = tmp_path / "profiles" / f"{process.pid}.request"

    def takes_it_and_dies() -> None:
        while not request.exists():
            threading.Event().wait(0.01)
        request.unlink()
        process.kill()
        process.wait()

    thread = threading.Thread(target=takes_it_and_dies)
    thread.start()
    asked = ["--pid", str(process.pid), "--seconds", "600", "--directory", str(tmp_path)]
    assert main(["profile", "record", *asked]) == 3
    thread.join()
    process.communicate()
    assert f"process {process.pid} ended before it answered" in capsys.readouterr().err


def test_a_process_that_does_not_look_is_told_and_no_request_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tickspan.cli.profile.record._TAKEN_S", 0.1)
    assert main(["profile", "record", "--pid", str(os.getpid()), "--directory", str(tmp_path)]) == 3
    assert "does not look into" in capsys.readouterr().err
    assert list((tmp_path / "profiles").iterdir()) == []
