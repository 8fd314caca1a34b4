"""Who may look on: what a registration says, whom it is believed, and when it is forgotten."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tickspan_spool.viewers import MOST_VIEWERS, Viewer, register, this_process, unregister, viewers

_NAME = "0123456789abcdef"
_ENDPOINT = "http://127.0.0.1:4318"


def test_a_registered_viewer_is_found_until_it_goes(tmp_path: Path):
    viewer = this_process(_NAME, _ENDPOINT, "http://127.0.0.1:8321/")
    path = register(tmp_path / "spool", viewer)
    seen = [viewers(tmp_path / "spool"), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777]
    unregister(tmp_path / "spool", viewer)
    assert [*seen, viewers(tmp_path / "spool")] == [[viewer], 0o600, 0o700, []]


def test_a_viewer_whose_process_is_gone_is_ignored_and_its_file_removed(tmp_path: Path):
    viewer = this_process(_NAME, _ENDPOINT)
    path = register(tmp_path, replace(viewer, start_time=viewer.start_time + 1))
    assert (viewers(tmp_path), path.exists()) == ([], False)


def test_a_viewer_of_an_earlier_boot_is_removed_and_one_of_another_container_left_alone(tmp_path: Path):
    viewer = this_process(_NAME, _ENDPOINT)
    earlier = register(tmp_path, replace(viewer, boot_id="0" * 32))
    elsewhere = register(tmp_path, replace(viewer, name="f" * 16, pid_namespace=1))
    assert (viewers(tmp_path), earlier.exists(), elsewhere.exists()) == ([], False, True)


def test_a_viewer_removes_only_its_own_file(tmp_path: Path):
    first = this_process(_NAME, _ENDPOINT)
    second = replace(first, endpoint="http://127.0.0.1:4319")
    register(tmp_path, first)
    register(tmp_path, second)
    unregister(tmp_path, first)
    assert viewers(tmp_path) == [second]


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "http://192.0.2.7:4318"},
        {"endpoint": "http://collector.example:4318"},
        {"endpoint": "https://127.0.0.1:4318"},
        {"endpoint": "http://127.0.0.1@192.0.2.7:4318"},
        {"endpoint": "http://127.0.0.1:4318/path"},
        {"endpoint": "http://127.0.0.1"},
        {"endpoint": "http://127.0.0.1:99999999"},
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": 7},
        {"name": "../../../etc"},
        {"pid": "1"},
        {"is_lasting": "yes"},
    ],
)
def test_telemetry_leaves_this_machine_by_no_file(tmp_path: Path, changes: dict[str, object]):
    path = register(tmp_path, this_process(_NAME, _ENDPOINT))
    path.write_text(json.dumps({**asdict(this_process(_NAME, _ENDPOINT)), **changes}))
    assert (viewers(tmp_path), path.exists()) == ([], False)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{", b"[" * 4_000, b"{}", b"x" * 100_000])
def test_a_file_that_is_no_registration_is_removed(tmp_path: Path, content: bytes):
    path = register(tmp_path, this_process(_NAME, _ENDPOINT))
    path.write_bytes(content)
    assert (viewers(tmp_path), path.exists()) == ([], False)


def test_a_link_and_a_pipe_are_not_followed(tmp_path: Path):
    path = register(tmp_path, this_process(_NAME, _ENDPOINT))
    target = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(target)
    os.mkfifo(path.with_name("f" * 16 + ".json"))
    assert (viewers(tmp_path), target.exists()) == ([], True)


def test_only_so_many_viewers_are_served(tmp_path: Path):
    for number in range(MOST_VIEWERS + 3):
        register(tmp_path, this_process(f"{number:016x}", _ENDPOINT))
    assert len(viewers(tmp_path)) == MOST_VIEWERS


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4318/v1/traces", True),
        ("http://localhost:4318/v1/traces", True),
        ("http://[::1]:4318/v1/traces", True),
        ("localhost:4318", True),
        ("http://localhost:4319/v1/traces", False),
        ("http://192.0.2.7:4318/v1/traces", False),
        ("http://localhost:port/", False),
        ("http://[::1/", False),
    ],
)
def test_a_destination_may_be_the_viewer_itself(url: str, expected: bool):
    assert Viewer(_NAME, _ENDPOINT).is_at(url) is expected
