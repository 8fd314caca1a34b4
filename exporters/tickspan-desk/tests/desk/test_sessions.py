"""Sessions: what was saved comes back byte by byte, and a hostile file does no harm."""

import json
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tickspan_desk import sessions
from tickspan_desk.sessions import SessionError, load, save
from tickspan_spool.receiver import Signal

from .conftest import logs, traces

_REQUESTS: list[tuple[Signal, bytes]] = [
    ("traces", traces("buy", "sell")),
    ("logs", logs("filled")),
    ("metrics", b""),
    ("traces", traces("cancel")),
]


def _file(path: Path, *requests: bytes, head: bytes = b'{"saved_unix_ns":1}\n') -> Path:
    packed = zstandard.ZstdCompressor().compress(b"".join(requests))
    path.write_bytes(sessions.MAGIC + head + packed)
    return path


def _request(signal: int, body: bytes, length: int | None = None) -> bytes:
    return sessions._REQUEST.pack(signal, len(body) if length is None else length) + body


def test_what_was_saved_comes_back_byte_by_byte(tmp_path: Path):
    saved = save(tmp_path / "day.tickspan", iter(_REQUESTS))
    loaded = [(batch.signal, batch.body) for batch in load(tmp_path / "day.tickspan")]
    assert (loaded, saved.requests, saved.bytes) == (_REQUESTS, 4, (tmp_path / "day.tickspan").stat().st_size)
    assert (tmp_path / "day.tickspan").stat().st_mode & 0o777 == 0o600


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "day.tickspan"
    save(path, iter(_REQUESTS))
    before = path.read_bytes()

    def broken():
        yield _REQUESTS[0]
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        save(path, broken())
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a session"),
        (b"SQLite format 3\0", "not a session"),
        (b"TSPDESK 2\n{}\n", "not a session"),
        (sessions.MAGIC, "its head"),
        (sessions.MAGIC + b"[" * 5_000 + b"\n", "its head"),
        (sessions.MAGIC + b"{}\nno zstandard", "damaged at request 1"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=said):
        list(load(path))


@pytest.mark.parametrize(
    ("request_bytes", "said"),
    [
        (_request(9, b""), "signal 9"),
        (_request(0, b"", length=0xFFFF_FFFF), "4294967295 bytes"),
        (_request(0, b"x", length=500), "it ends in request 1"),
        (b"\0\0", "head of request 1"),
        (_request(0, b"\xff\xff\xff"), "request 1: protobuf body"),
        (_request(0, traces(*[""] * 100_001)), "more than 100000 records"),
    ],
)
def test_a_request_that_cannot_be_is_refused(tmp_path: Path, request_bytes: bytes, said: str):
    with pytest.raises(SessionError, match=said):
        list(load(_file(tmp_path / "file", request_bytes)))


def test_what_came_before_the_damage_is_given(tmp_path: Path):
    path = _file(tmp_path / "file", _request(0, _REQUESTS[0][1]), _request(7, b""))
    given_before: list[bytes] = []
    with pytest.raises(SessionError, match="request 2"):
        given_before.extend(batch.body for batch in load(path))
    read = load(path)
    assert next(read).body == _REQUESTS[0][1]
    read.close()


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "_FREE_BYTES", 1 << 20)
    monkeypatch.setattr(sessions, "_RATIO", 10)
    unknown_field = b"\xfa\x01\x80\x80\x20" + bytes(512 << 10)
    path = _file(tmp_path / "file", _request(0, unknown_field) * 50)
    with pytest.raises(SessionError, match="inflates to more than"):
        list(load(path))


def test_a_frame_that_asks_for_a_huge_window_is_refused(tmp_path: Path):
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = packed.compress(os.urandom(1 << 10)) + packed.flush()
    path = tmp_path / "file"
    path.write_bytes(sessions.MAGIC + b"{}\n" + data)
    with pytest.raises(SessionError, match="request 1"):
        list(load(path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_any_changed_byte_is_an_error_or_no_harm(tmp_path: Path, place: int, value: int, cut: int):
    path = tmp_path / "damaged"
    save(path, iter(_REQUESTS))
    data = bytearray(path.read_bytes())
    data[min(place, len(data) - 1)] = value
    path.write_bytes(bytes(data[: len(data) - min(cut, len(data))]) if cut % 3 == 0 else bytes(data))
    try:
        found = [(batch.signal, batch.body) for batch in load(path)]
    except SessionError:
        return
    assert len(found) <= len(_REQUESTS)


def test_its_head_says_when(tmp_path: Path):
    save(tmp_path / "day.tickspan", iter(_REQUESTS))
    head = (tmp_path / "day.tickspan").read_bytes().split(b"\n", 2)[1]
    assert json.loads(head).keys() == {"saved_unix_ns"}
