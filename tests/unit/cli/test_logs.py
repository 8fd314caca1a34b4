"""`tickspan logs`: what each action prints, and its exit status."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tickspan.cli.logs.search import query_text
from tickspan.cli.logs.shown import shown
from tickspan.cli.logs.tail import Follower
from tickspan.cli.main import main
from tickspan.logs.archive import compress
from tickspan.logs.chain import Chain
from tickspan.logs.query import Query


def line(number: int, **more: object) -> dict[str, object]:
    return {
        "time": f"2026-11-26T12:00:0{number}.000000Z",
        "level": "WARN",
        "severity": 13,
        "category": "trading",
        "logger": "oms",
        "message": f"order {number}",
        "fields": {"order_id": f"o-{number}"},
        "uid": f"7-{number}",
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plain = "".join(json.dumps(line(number), separators=(",", ":")) + "\n" for number in (1, 2))
    (tmp_path / "oms-20261126T120000Z-000001.jsonl").write_text(plain)
    chain = Chain()
    audit = b"".join(chain.add(line(number, audit={"sequence": number})) for number in (1, 2, 3))
    (tmp_path / "oms-audit-20261126T120000Z-000002.jsonl").write_bytes(audit)
    return tmp_path


def test_search_prints_lines_for_people(folder: Path, capsys: pytest.CaptureFixture[str]):
    status = main(["logs", "search", "order_id=o-2", "order", "--directory", str(folder)])
    told = "2026-11-26T12:00:02.000000Z WARN  trading oms order 2 order_id=o-2\n"
    assert (status, capsys.readouterr().out) == (0, told * 2)


def test_search_prints_lines_as_they_are(folder: Path, capsys: pytest.CaptureFixture[str]):
    main(["logs", "search", "--order", "o-1", "--json", "--limit", "1", "--directory", str(folder)])
    told = capsys.readouterr()
    assert json.loads(told.out) == line(1)
    assert told.err == "there are more than 1 lines; --limit 0 shows all\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["nothing=there"], 1, ""),
        (["level>=LOUD"], 2, "tickspan logs: expected a level such as WARNING at position 8, got 'LOUD'\n"),
        (["symbol", "=", "A"], 2, "tickspan logs: expected a name before '=' at position 8, as in symbol"),
        (
            ["--grep", "("],
            2,
            "tickspan logs: expected a regular expression, got '(': missing ), unterminated",
        ),
        (["--prefix", "other"], 1, "there are no log files in this folder yet\n"),
        (["--since", "soon"], 2, "tickspan logs: expected a time such as"),
    ],
)
def test_the_exit_status_tells_how_it_went(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str
):
    assert main(["logs", "search", *arguments, "--directory", str(folder)]) == status
    assert capsys.readouterr().err.startswith(told)


def test_a_folder_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKSPAN_LOGS_DIRECTORY", raising=False)
    assert main(["logs", "search"]) == 2
    assert "TICKSPAN_LOGS_DIRECTORY" in capsys.readouterr().err
    assert main(["logs", "search", "--directory", "nowhere"]) == 2


def test_the_folder_of_the_settings_is_searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TICKSPAN_LOGS_DIRECTORY", str(folder))
    assert main(["logs", "search", "--order", "o-1"]) == 0
    assert capsys.readouterr().out.count("order 1") == 2


def test_verify_tells_a_whole_chain(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["logs", "verify", "--directory", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("oms: links 1 to 3 are whole; head ")


def test_verify_tells_each_chain_as_data(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["logs", "verify", "--json", "--directory", str(folder)]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert {**told, "head": len(told["head"])} == {
        "prefix": "oms",
        "is_whole": True,
        "first": 1,
        "last": 3,
        "head": 64,
        "fault": None,
        "gaps": [],
    }


def test_verify_names_what_was_changed(folder: Path, capsys: pytest.CaptureFixture[str]):
    path = folder / "oms-audit-20261126T120000Z-000002.jsonl"
    path.write_bytes(path.read_bytes().replace(b"order 2", b"order 9"))
    assert main(["logs", "verify", "--directory", str(folder)]) == 1
    assert capsys.readouterr().out == f"oms: {path.name}:2: link 2 is changed (7-2)\n"


def test_verify_sees_what_was_cut_off_with_a_witness(folder: Path, capsys: pytest.CaptureFixture[str]):
    path = folder / "oms-audit-20261126T120000Z-000002.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[2])["audit"]["hash"]
    path.write_bytes(b"".join(lines[:2]))
    assert main(["logs", "verify", "--directory", str(folder)]) == 0
    assert main(["logs", "verify", "--directory", str(folder), "--witness", f"3:{head}"]) == 1
    assert main(["logs", "verify", "--directory", str(folder), "--witness", "x"]) == 2
    assert "link 3 is missing" in capsys.readouterr().out


def test_tail_begins_with_the_last_lines(folder: Path, capsys: pytest.CaptureFixture[str]):
    status = main(["logs", "tail", "-n", "1", "--seconds", "0.01", "--directory", str(folder)])
    assert (status, capsys.readouterr().out.count("\n")) == (0, 1)


def test_words_of_the_shell_keep_their_blanks_and_quotes():
    words = ['message=order "1"', "a b", "level>=INFO", 'it\'s "so"']
    query = Query.of(query_text(words))
    assert [(one.key, one.value) for one in query.conditions] == [("message", 'order "1"'), ("level", "INFO")]
    assert query.texts == ("a b", 'it\'s "so"')


def run_later(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "tickspan", "logs", *arguments, "--directory", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_who_reads_may_go_before_the_end(folder: Path):
    text = json.dumps(line(1), separators=(",", ":")) + "\n"
    (folder / "oms-20261126T120000Z-000003.jsonl").write_text(text * 20_000)
    process = run_later(folder, "search", "--limit", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("2026-11-26T12:00:01")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 0


def test_an_interrupt_ends_a_tail_without_a_word(folder: Path):
    process = run_later(folder, "tail")
    assert process.stdout is not None
    assert [process.stdout.readline()[-2:] for _ in range(5)] == ["1\n", "1\n", "2\n", "2\n", "3\n"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_verify_follows_keys_one_after_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    chain, lines = Chain(), list[bytes]()
    for number, key in enumerate((None, b"old", b"new"), 1):
        chain.key = key
        lines.append(chain.add(line(number, audit={"sequence": number})))
        (tmp_path / f"key{number}").write_bytes(b"%s\n" % (key or b""))
    (tmp_path / "oms-audit-20261126T120000Z-000001.jsonl").write_bytes(b"".join(lines))
    verify = ["logs", "verify", "--directory", str(tmp_path)]
    keys = ["--key-file", str(tmp_path / "key2"), "--key-file", str(tmp_path / "key3")]
    assert main([*verify, "--key-file", "none", *keys]) == 0
    assert main([*verify, *keys]) == 1
    assert main([*verify, "--key-file", str(tmp_path / "nowhere")]) == 2
    told = capsys.readouterr()
    assert "oms-audit-20261126T120000Z-000001.jsonl:1: link 1 is changed (7-1)" in told.out
    assert told.err.startswith("tickspan logs: the key cannot be read: No such file or directory: ")


def test_verify_begins_with_the_archive_and_wants_the_first_link(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = folder / "oms-audit-20261126T120000Z-000002.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    archive = tmp_path / "old"
    archive.mkdir()
    (archive / "oms-audit-20261126T110000Z-000001.jsonl").write_bytes(lines[0])
    path.write_bytes(b"".join(lines[1:]))
    verify = ["logs", "verify", "--directory", str(folder)]
    assert main(verify) == 1
    assert capsys.readouterr() == (
        f"oms: {path.name}:1: link 1 is missing (7-2)\n",
        "oms: --archive names a folder with older files\n",
    )
    assert main([*verify, "--archive", str(archive)]) == 0
    assert main([*verify, "--partial"]) == 0
    head = json.loads(lines[0])["audit"]["hash"]
    assert main([*verify, "--witness", f"1:{head}"]) == 0
    assert "oms: links 1 to 3 are whole" in capsys.readouterr().out


def test_a_witness_is_of_one_chain(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "md-audit-20261126T120000Z-000001.jsonl").write_bytes(Chain().add(line(1, audit={})))
    verify = ["logs", "verify", "--directory", str(folder)]
    assert main(verify) == 0
    assert capsys.readouterr().out.count("are whole") == 2
    assert main([*verify, "--witness", f"1:{'0' * 64}"]) == 2
    assert (
        capsys.readouterr().err == "tickspan logs: --witness: of which chain? --prefix names one of md, oms\n"
    )


def test_a_line_that_was_cut_off_is_named(folder: Path, capsys: pytest.CaptureFixture[str]):
    path = folder / "oms-audit-20261126T120000Z-000002.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert main(["logs", "verify", "--directory", str(folder)]) == 1
    assert capsys.readouterr().out == f"oms: {path.name}:3: link 3 is unreadable\n"
    assert main(["logs", "search", "category=trading", "--directory", str(folder)]) == 0
    assert capsys.readouterr().out.count("\n") == 4


def test_a_follower_reads_a_file_to_its_end_that_is_full_and_gone(folder: Path):
    path = folder / "oms-20261126T120000Z-000001.jsonl"
    with closing(Follower(folder)) as follower:
        assert len(list(follower.new_lines())) == 5
        with path.open("a") as file:
            file.write('{"a": "\u2028"}\n')
        compress(path)
        (folder / "oms-20261126T120000Z-000003.jsonl").write_text('{"b": 1}\n')
        assert list(follower.new_lines()) == ['{"a": "\u2028"}', '{"b": 1}']
        assert list(follower.new_lines()) == []


def test_a_follower_tells_files_of_one_number_apart(folder: Path):
    with closing(Follower(folder)) as follower:
        list(follower.new_lines())
        for prefix in ("md", "risk"):
            (folder / f"{prefix}-20261126T120000Z-000001.jsonl").write_text(f'"{prefix}"\n')
        assert sorted(follower.new_lines()) == ['"md"', '"risk"']


def test_a_follower_begins_anew_in_a_file_that_was_cut_off_or_replaced(folder: Path):
    path = folder / "oms-20261126T120000Z-000001.jsonl"
    with closing(Follower(folder)) as follower:
        list(follower.new_lines())
        path.write_text('{"a": 1}\n')
        assert list(follower.new_lines()) == ['{"a": 1}']
        (folder / "new").write_text('{"b": 1}\n')
        (folder / "new").rename(path)
        assert list(follower.new_lines()) == []
        assert list(follower.new_lines()) == ['{"b": 1}']


def test_a_follower_gives_new_whole_lines_of_old_and_new_files(folder: Path):
    with closing(Follower(folder)) as follower:
        assert len(list(follower.new_lines())) == 5
        with (folder / "oms-20261126T120000Z-000001.jsonl").open("a") as file:
            file.write('{"a": 1}\n{"b"')
        (folder / "oms-20261126T120000Z-000003.jsonl").write_text('{"c": 1}\n')
        assert sorted(follower.new_lines()) == ['{"a": 1}', '{"c": 1}']
        with (folder / "oms-20261126T120000Z-000001.jsonl").open("a") as file:
            file.write(": 1}\n")
        assert list(follower.new_lines()) == ['{"b": 1}']


def test_what_moves_a_cursor_is_escaped():
    assert shown(line(1, message="a\x1b[2Jb\nc"), is_json=False).count("\\x1b[2Jb\\nc") == 1
