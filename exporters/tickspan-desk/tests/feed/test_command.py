"""`tickspan desk` as a user has it: how it starts, what it says when it cannot, how it ends."""

import json
import signal
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tickspan_spool.receiver import Receiver
from tickspan_spool.viewers import viewers

from .conftest import Place, wait

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_it_is_told_to(place: Place, number: signal.Signals):
    with place.desk("--no-open") as desk:
        desk.ask("/api/traces")
        before_s = time.monotonic()
        status = desk.end(number)
        took_s = time.monotonic() - before_s
    assert (status, took_s < 2.0, viewers(place.spool)) == (0, True, [])


def test_its_first_line_says_where_it_is(place: Place):
    with place.desk("--grpc") as desk:
        told = dict(desk.told)
        page, token = told["page"].split("#")
        doctor = viewers(place.spool)
    assert told.keys() == {"page", "otlp", "grpc", "store", "token", "pid"}
    assert (told["store"], token, [viewer.page for viewer in doctor]) == (
        str(place.store),
        told["token"],
        [page],
    )
    assert (told["grpc"].startswith("http://127.0.0.1:"), place.store.stat().st_mode & 0o777) == (True, 0o600)


def test_a_second_desk_for_the_store_says_where_the_first_is(place: Place):
    with place.desk() as desk:
        second = place.command()
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == f"tickspan desk: another desk shows this store: open {desk.told['page']}\n"


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(place: Place):
    with place.desk() as desk:
        port = desk.page.rstrip("/").rpartition(":")[2]
        otlp_port = desk.told["otlp"].rpartition(":")[2]
        page = place.command("--memory", "--port", port)
        otlp = place.command("--memory", "--port", "0", "--otlp-port", otlp_port)
    assert (page.returncode, otlp.returncode) == (2, 2)
    assert page.stderr.startswith(f"tickspan desk: --port: port {port} is taken")
    assert otlp.stderr.startswith(f"tickspan desk: --otlp-port: port {otlp_port} is taken")


def test_a_store_of_another_version_or_program_is_not_touched(place: Place, tmp_path: Path):
    foreign = tmp_path / "orders.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    before = foreign.read_bytes()
    told = place.command("--store", str(foreign), "--port", "0", "--otlp-port", "0")
    assert (told.returncode, foreign.read_bytes() == before) == (2, True)
    assert str(foreign) in told.stderr


def test_a_folder_that_cannot_be_written_to_is_an_error(place: Place):
    told = place.command("--store", "/proc/tickspan/desk.sqlite")
    assert (told.returncode, "/proc/tickspan" in told.stderr, told.stderr.count("\n")) == (2, True, 1)


def test_a_store_below_a_file_is_an_error_in_one_line(place: Place, tmp_path: Path):
    (tmp_path / "file").write_text("")
    told = place.command("--store", str(tmp_path / "file" / "deep" / "desk.sqlite"))
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)


def test_a_desk_does_not_forward_to_itself(place: Place):
    with place.desk("--memory") as desk:
        port = desk.told["otlp"].rpartition(":")[2]
    told = place.command("--memory", "--otlp-port", port, "--forward", f"http://localhost:{port}")
    assert (told.returncode, told.stderr.rstrip()) == (
        2,
        f"tickspan desk: --forward: http://localhost:{port} is this desk itself",
    )


def test_what_arrives_is_forwarded_and_counted(place: Place):
    records: list[int] = []
    with (
        Receiver(
            lambda batch: records.append(batch.records) if batch.signal == "traces" else None
        ) as collector,
        place.bot("on", 30),
        place.desk("--forward", collector.endpoint) as desk,
    ):
        wait(lambda: sum(records) == 30)
        status = desk.end()
        assert desk.process.stdout is not None
        told = json.loads(desk.process.stdout.read())["forwarded"]
    assert (status, told["taken"] - told["delivered"], told["dropped"], told["trouble"]) == (0, 0, {}, "")


def test_a_session_is_saved_loaded_exported_and_replayed(place: Place, tmp_path: Path):
    file = tmp_path / "day.tickspan"
    with place.bot("kept", 20), place.desk() as desk:
        wait(lambda: desk.spans("kept") == 20)
        trace_id = desk.ask("/api/search?q=kept+7&range=86400")
        saved = place.command("save", str(file), "--json")  # beside a desk that is showing it
    records: list[int] = []
    with Receiver(
        lambda batch: records.append(batch.records) if batch.signal == "traces" else None
    ) as collector:
        replayed = place.command("replay", "--to", collector.endpoint, "--json")
        too_late = place.command("replay", "--to", collector.endpoint, "--since", "0.001", "--json")
    with place.desk("--memory", "--load", str(file)) as other:
        wait(lambda: other.spans("kept") == 20)
    told = json.loads(replayed.stdout)
    assert (saved.returncode, json.loads(saved.stdout)["path"]) == (0, str(file))
    assert (replayed.returncode, sum(records), told["dropped"], told["is_complete"]) == (0, 20, {}, True)
    assert (told["delivered"] >= 20, too_late.returncode, trace_id is not None) == (True, 0, True)


def test_a_trace_is_exported_as_otlp_json(place: Place):
    with place.bot("shared", 1), place.desk() as desk:
        wait(lambda: desk.spans("shared") == 1)
        trace_id = desk.ask("/api/traces?range=86400")["lines"][0]["trace_id"]
        told = place.command("export", "--trace", trace_id.upper(), "--json")
    (resource,) = json.loads(told.stdout)["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["name"]) == (trace_id, "shared 0")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["export", "--trace", "12"], 2, "--trace: expected 32 hexadecimal digits"),
        (["export", "--trace", "0" * 32], 1, "nothing is kept of " + "0" * 32),
        (["export", "--order", "nowhere"], 1, "no order 'nowhere' is kept"),
    ],
)
def test_what_is_not_kept_is_told(place: Place, words: list[str], status: int, said: str):
    with place.desk():
        told = place.command(*words)
    assert (told.returncode, said in told.stderr, told.stdout) == (status, True, "")


@pytest.mark.parametrize(
    "words", [["save", "x"], ["export", "--trace", "0" * 32], ["replay", "--to", "http://x"]]
)
def test_where_there_is_no_store_nothing_is_made(place: Place, words: list[str]):
    told = place.command(*words)
    assert (told.returncode, "no store at" in told.stderr, place.store.exists()) == (2, True, False)


def test_a_file_that_is_no_session_is_not_loaded(place: Place, tmp_path: Path):
    file = tmp_path / "day.tickspan"
    file.write_bytes(b"PK\x03\x04")
    told = place.command("--memory", "--port", "0", "--otlp-port", "0", "--load", str(file))
    assert (told.returncode, "not a session" in told.stderr) == (2, True)


def test_buttons_save_and_clear(place: Place):
    with place.bot("kept", 5), place.desk() as desk:
        wait(lambda: desk.spans("kept") == 5)
        saved = desk.ask("/api/save", {"name": "monday"})
        cleared = desk.ask("/api/clear", {})
        left = desk.spans("kept")
    assert (Path(saved["path"]), cleared["message"], left) == (
        place.store.parent / "sessions" / "monday.tickspan",
        "Forgotten.",
        0,
    )


def test_elsewhere_needs_the_token(place: Place):
    addresses = [address for address in _own_addresses() if not address.startswith("127.")]
    if not addresses:
        pytest.skip("this machine has no address but loopback")
    with place.desk("--memory", "--listen-elsewhere", addresses[0]) as desk:
        port = desk.told["otlp"].rpartition(":")[2]
        answers = [
            _status(f"http://{addresses[0]}:{port}/v1/traces", authorization)
            for authorization in ("", f"Bearer {desk.told['token']}")
        ]
        at_home = _status(f"{desk.told['otlp']}/v1/traces", "")
    assert (answers, at_home) == ([401, 200], 200)


def _own_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks which address would be used
        except OSError:
            return []
        return [probe.getsockname()[0]]


def _status(url: str, authorization: str) -> int:
    headers = {
        "content-type": "application/x-protobuf",
        **({"authorization": authorization} if authorization else {}),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"", headers), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
