"""Archive, index and search: found is what a look at each line would find, and damage costs itself."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.logs import QueryError, search
from tickspan.logs import archive as archive_module
from tickspan.logs.archive import compress, index_path, read_index
from tickspan.logs.bloom import bloom_of, may_hold
from tickspan.logs.codec import Codec, FrameError, _Gzip, best, of_suffix
from tickspan.logs.literals import literal_of
from tickspan.logs.query import Query
from tickspan.logs.search import moment

LEVELS = (("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17))
SYMBOLS = ("AAPL", "MSFT", "BTC/USDT")


def made(number: int) -> dict[str, Any]:
    level, severity = LEVELS[number % 4]
    return {
        "time": f"2026-11-26T12:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        "level": level,
        "severity": severity,
        "category": "trading" if number % 2 else "market_data",
        "logger": "oms",
        "message": f"order {number} “rejected” by\nvenue",
        "trace_id": f"{number // 10:032x}",
        "span_id": f"{number:016x}",
        "fields": {
            "symbol": SYMBOLS[number % 3],
            "order_id": f"o-{number}",
            "quantity": number,
            "price": number / 4,
            "is_own": number % 5 == 0,
            "nested": {"leg": {"id": f"leg-{number}"}},
            "account_id": number / 4,
            "venue_id": 1234567890123456789 + number,
        },
        "uid": f"7-{number}",
    }


def written(path: Path, numbers: range) -> Path:
    path.write_bytes(
        b"".join(
            json.dumps(made(n), ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for n in numbers
        )
    )
    return path


@pytest.fixture(params=["plain", "zst", "gz", "without index"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """600 lines in two files; the first compressed in some way, in small frames."""
    monkeypatch.setattr(archive_module, "FRAME_BYTES", 8_192)
    first = written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(400))
    written(tmp_path / "oms-20261126T130000Z-000002.jsonl", range(400, 600))
    if request.param != "plain":
        done = compress(first, _Gzip() if request.param == "gz" else None)
        if request.param == "without index":
            index_path(done).unlink()
    return tmp_path


Expected = Callable[[int], bool]
QUERIES: tuple[tuple[str, dict[str, str], Expected], ...] = (
    ("", {}, lambda _n: True),
    ("level>=WARNING", {}, lambda n: n % 4 >= 2),
    ("level=info", {}, lambda n: n % 4 == 1),
    ("level<ERROR level!=DEBUG", {}, lambda n: n % 4 in {1, 2}),
    ("symbol=AAPL category=trading", {}, lambda n: n % 3 == 0 and n % 2 == 1),
    ("symbol=BTC/USDT", {}, lambda n: n % 3 == 2),
    ("symbol!=AAPL", {}, lambda n: n % 3 != 0),
    ("quantity>590", {}, lambda n: n > 590),
    ("price=2.50", {}, lambda n: n == 10),
    ("is_own=true quantity<20", {}, lambda n: n % 5 == 0 and n < 20),
    ("fields.order_id=o-77", {}, lambda n: n == 77),
    ("order_id=o-577", {}, lambda n: n == 577),
    ('"order 77 “rejected”"', {}, lambda n: n == 77),
    ("nothing=there", {}, lambda _n: False),
    ("", {"order": "o-333"}, lambda n: n == 333),
    ("level=error", {"trace": f"{33:032x}"}, lambda n: n // 10 == 33 and n % 4 == 3),
    ("", {"grep": r"order 5\d\d\b"}, lambda n: 500 <= n < 600),
    ("", {"grep": "order 123"}, lambda n: n == 123),
    ("quantity<=3 quantity!=2", {}, lambda n: n in {0, 1, 3}),
    ("quantity=17.0", {}, lambda n: n == 17),
    ("price>=149.5", {}, lambda n: n >= 598),
    ("level>=ERROR quantity>500", {}, lambda n: n % 4 == 3 and n > 500),
    ("nested.leg.id=leg-7", {}, lambda n: n == 7),
    ("fields.nested.leg.id=leg-7", {}, lambda n: n == 7),
    ("account_id=5", {}, lambda n: n == 20),
    ("account_id=5.25", {}, lambda n: n == 21),
    ("venue_id=1234567890123456789", {}, lambda n: n == 0),
    ("venue_id>=1234567890123457387", {}, lambda n: n >= 598),
    (f"span_id={12:016x}", {}, lambda n: n == 12),
    ('""', {}, lambda _n: True),
    ('message="order 77 “rejected” by\nvenue"', {}, lambda n: n == 77),
    ("quantity=5", {"order": "o-5", "grep": "o-5"}, lambda n: n == 5),
    ("", {"order": "leg-9"}, lambda n: n == 9),
    ("", {"grep": r"order \d+7 .*AAPL"}, lambda n: n % 10 == 7 and n % 3 == 0),
    ("", {"grep": r"[^x]{5}o-55[0-4]"}, lambda n: 550 <= n < 555),
    ("", {"grep": r"7-59\d\"\}$"}, lambda n: n >= 590),
    ("", {"grep": r"(?i)ORDER 4[45]\d"}, lambda n: 440 <= n < 460),
    ("level=error", {"since": "2026-11-26T12:09:50"}, lambda n: n >= 590 and n % 4 == 3),
    ("", {"since": "2026-11-26T12:09:50", "until": "2026-11-26T12:09:55"}, lambda n: 590 <= n < 595),
)


@pytest.mark.parametrize(("query", "options", "expected"), QUERIES)
def test_a_search_finds_what_a_look_at_each_line_would(
    folder: Path, query: str, options: dict[str, str], expected: Expected
):
    result = search(query, directory=folder, limit=0, **options)  # type: ignore[arg-type] - what users do
    assert [hit.line["uid"] for hit in result] == [f"7-{n}" for n in range(600) if expected(n)]
    assert (result.files, result.damaged) == (2, 0)


@pytest.mark.parametrize("folder", ["zst"], indirect=True)
def test_the_index_spares_frames_that_hold_nothing(folder: Path):
    by_order = search(directory=folder, order="o-7")
    by_time = search(directory=folder, since="2026-11-26T12:06:30")
    by_level = search("level>=FATAL", directory=folder)
    assert (by_order.frames, by_order.lines, len(by_order)) == (1, 1, 1)
    assert (by_time.frames, by_level.frames) == (1, 0)
    assert by_order.skipped > 10
    by_number = search("quantity>595", directory=folder)
    assert (by_number.lines, len(by_number)) == (4, 4)  # of all others no line was parsed


@pytest.mark.parametrize("folder", ["zst", "gz", "without index"], indirect=True)
def test_a_damaged_frame_costs_only_itself(folder: Path):
    path = next(path for path in folder.iterdir() if path.suffix in {".zst", ".gz"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    result = search(directory=folder, limit=0)
    missing = {f"7-{n}" for n in range(600)} - {hit.line["uid"] for hit in result}
    assert result.damaged >= 1
    assert 0 < len(missing) < 60


@pytest.mark.parametrize("folder", ["zst"], indirect=True)
def test_a_damaged_index_costs_time_only(folder: Path):
    index = next(folder.glob("*.idx"))
    index.write_bytes(index.read_bytes()[:-3])
    assert len(search(directory=folder, limit=0)) == 600


def test_a_line_that_is_cut_off_or_foreign_is_left_out(tmp_path: Path):
    path = written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(3))
    path.write_bytes(b"not ours\n[1]\n" + path.read_bytes()[:-20])
    (tmp_path / "notes.txt").write_text("no log file")
    assert [hit.line["uid"] for hit in search(directory=tmp_path)] == ["7-0", "7-1"]


def test_lines_of_several_writers_come_by_time(tmp_path: Path):
    written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(0, 10, 2))
    written(tmp_path / "md.4711-20261126T120000Z-000001.jsonl", range(1, 10, 2))
    written(tmp_path / "oms-audit-20261126T120000Z-000002.jsonl", range(10, 12))
    assert [hit.line["uid"] for hit in search(directory=tmp_path)] == [f"7-{n}" for n in range(12)]
    assert len(search(directory=tmp_path, prefix="md")) == 5
    assert len(search(directory=tmp_path, prefix="m")) == 0


def test_a_search_that_has_enough_lets_go_of_its_files(tmp_path: Path):
    written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(50))
    assert len(search("quantity>=0", directory=tmp_path, limit=3)) == 3
    assert not [path for path in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(path)]


def test_a_file_that_cannot_be_read_is_counted(tmp_path: Path):
    (tmp_path / "oms-20261126T120000Z-000001.jsonl").symlink_to(tmp_path / "nowhere")
    written(tmp_path / "oms-20261126T120000Z-000002.jsonl", range(3))
    result = search(directory=tmp_path)
    assert (len(result), result.damaged, result.files) == (3, 1, 2)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(st.text("ab1 .", min_size=1, max_size=6), st.text("ab1 .*+?[]{}()\\d", max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_literal_of_an_expression_is_in_all_that_it_finds(text: str, expression: str):
    try:
        found = re.search(expression, text)
    except re.error:
        found = None
    assert found is None or literal_of(expression) in found[0]


def test_the_longest_literal_is_taken():
    expressions = (r"order 5\d\d", "ab*cd", r"x{2,3}yz", "[ab]cde", "(abc)+de", "a|b", "(?i)abc", "ab?")
    assert [literal_of(one) for one in expressions] == ["order 5", "cd", "yz", "cde", "de", "", "", "a"]


def test_a_limit_is_told(tmp_path: Path):
    written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(10))
    result = search(directory=tmp_path, limit=4)
    assert (len(result), result.is_cut, search(directory=tmp_path, limit=10).is_cut) == (4, True, False)


def test_a_hit_has_the_parts_that_people_ask_for(tmp_path: Path):
    written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(1))
    (hit,) = search(directory=tmp_path)
    assert (hit.time, hit.level, hit.fields["symbol"]) == ("2026-11-26T12:00:00.000000Z", "DEBUG", "AAPL")


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ("symbol=A level>=LOUD", {}, "expected a level such as WARNING at position 17, got 'LOUD'"),
        ('a "open', {}, "expected a second \" for the one at position 3, got the end of 'a \"open'"),
        ("symbol==AAPL", {}, "expected =, !=, <, <=, > or >= at position 7, got '=='"),
        ("level=>5", {}, "expected =, !=, <, <=, > or >= at position 6, got '=>'"),
        ("message=~x", {}, "expected =, !=, <, <=, > or >= at position 8, got '=~'; --grep takes regular"),
        ("symbol = AAPL", {}, "expected a name before '=' at position 8, as in symbol=AAPL, without blanks"),
        (
            "symbol=",
            {},
            "expected a value at position 8, after 'symbol='; \"\" is an empty one",
        ),
        ("level=INFO and x", {}, "expected a condition at position 12, got 'and': all conditions hold"),
        ("a OR b", {}, "expected a condition at position 3, got 'OR': all conditions hold"),
        ("", {"trace": "12"}, "expected a trace id of 32 hexadecimal digits, got '12'"),
        (
            "",
            {"grep": "a("},
            "expected a regular expression, got 'a(': missing ), unterminated subpattern at",
        ),
        ("", {"since": "soon"}, "expected a time such as 2026-11-26T15:00, or 2d, 90m, 30s ago; got 'soon'"),
    ],
)
def test_a_query_that_cannot_be_understood_says_what_was_expected(
    tmp_path: Path, query: str, options: dict[str, str], expected: str
):
    with pytest.raises(QueryError) as caught:
        search(query, directory=tmp_path, **options)  # type: ignore[arg-type] - what users do
    assert str(caught.value).startswith(expected)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no folder of log files at"):
        search(directory=tmp_path / "none")


def test_times_may_be_told_as_how_long_ago():
    now = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
    assert [moment(text, now) for text in ("2d", "1.5h", "2026-11-26T10:00:00+02:00", "")] == [
        "2026-11-24T12:00:00.000000Z",
        "2026-11-26T10:30:00.000000Z",
        "2026-11-26T08:00:00.000000Z",
        "",
    ]


@given(st.sets(st.text(max_size=8), max_size=20), st.text(max_size=8))
@settings(max_examples=25, deadline=None)
def test_a_bloom_filter_never_denies_what_it_was_made_of(words: set[str], other: str):
    bloom = bloom_of(words)
    assert all(may_hold(bloom, word) for word in words)
    assert other in words or len(bloom) >= 8


def test_a_bloom_filter_is_seldom_wrong():
    bloom = bloom_of(f"o-{n}" for n in range(1_000))
    assert sum(may_hold(bloom, f"x-{n}") for n in range(10_000)) < 200


@pytest.mark.parametrize("codec", [best(), _Gzip()])
def test_a_frame_round_trips_and_damage_is_an_error(codec: Codec):
    data = b"a line\n" * 1_000
    frame = codec.compress(data)
    assert (codec.decompress(frame, len(data)), codec.decompress(frame, None)) == (data, data)
    for bad in (frame[:-1], frame[: len(frame) // 2], b"", b"no frame at all"):
        with pytest.raises(FrameError):
            codec.decompress(bad, len(data))
    with pytest.raises(FrameError):
        codec.decompress(frame, 128 << 20)


def test_an_ending_that_nothing_reads_is_an_error():
    with pytest.raises(FrameError, match=r"nothing that reads \.xz is installed"):
        of_suffix(".xz")


def test_the_index_tells_what_is_in_each_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive_module, "FRAME_BYTES", 4_096)
    frames = read_index(compress(written(tmp_path / "oms-20261126T120000Z-000001.jsonl", range(40))))
    assert frames is not None
    assert sum(frame.lines for frame in frames) == 40
    assert frames[0].first == "2026-11-26T12:00:00.000000Z"
    assert frames[0].severities == {5, 9, 13, 17}
    assert frames[0].categories == {"trading", "market_data"}
    assert (frames[0].may_hold("o-3"), frames[0].may_hold("o-39"), frames[-1].may_hold("o-39")) == (
        True,
        False,
        True,
    )


def test_a_query_looks_for_the_longest_bytes_that_a_line_must_hold():
    assert Query.of('symbol=AAPL "a “quoted” text" quantity=5').rare == "a “quoted” text".encode()
    assert Query.of("quantity=5 is_own=true level>=INFO").rare == b""
