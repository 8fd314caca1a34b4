"""The snapshot: hot keys on disk, for their owner, whole or not at all, and never a value."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tickspan.cache import snapshot
from tickspan.cache.entry import Key

_HEAT: dict[str, list[tuple[Key, int]]] = {
    "quotes": [("AAPL", 9), (("depth", 5), 2), (-7, 1)],
    "fills": [("ä:%", 1)],
}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "below" / "hot-keys.json"
    snapshot.write(path, _HEAT)
    assert snapshot.read(path) == _HEAT
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path)] == [0o700, 0o600]
    assert list(path.parent.iterdir()) == [path]


def test_the_last_writer_wins(tmp_path: Path) -> None:
    path = tmp_path / "hot-keys.json"
    snapshot.write(path, _HEAT)
    snapshot.write(path, {"quotes": [("MSFT", 1)]})
    assert snapshot.read(path) == {"quotes": [("MSFT", 1)]}


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    assert snapshot.read(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2, "regions": {}}',
        '{"format": 1}',
        '{"format": 1, "regions": []}',
        '{"format": 1, "regions": {"quotes": 5}}',
        '{"format": 1, "regions": {"quotes": [["AAPL"]]}}',
        '{"format": 1, "regions": {"quotes": [["AAPL", "x"]]}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_told_and_left_out(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hot-keys.json"
    path.write_text(text)
    assert snapshot.read(path) == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_is_no_key_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "hot-keys.json"
    path.write_text('{"format": 1, "regions": {"quotes": [["ix", 1], ["AAPL", 2]]}}')
    assert snapshot.read(path) == {"quotes": [("AAPL", 2)]}


def test_a_folder_that_cannot_be_written_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        snapshot.write(tmp_path / "file" / "hot-keys.json", _HEAT)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
