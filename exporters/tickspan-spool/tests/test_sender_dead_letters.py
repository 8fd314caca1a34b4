"""Dead letters: kept, bounded, shown, sent once more."""

import os
import stat
from pathlib import Path

import pytest
from tickspan_spool.receiver import Batch, Receiver, Response
from tickspan_spool.sender import (
    DeadLetters,
    Destination,
    Letter,
    LetterHead,
    Outcome,
    OutcomeKind,
    list_letters,
    open_channel,
    redrive,
    show_letter,
)

_REQUEST = b"\x0a\x06\x12\x04\x12\x02\x2a\x00"  # one span without a name


def _add(letters: DeadLetters, request: bytes = _REQUEST, reason: str = "denied") -> str:
    return letters.add("traces", request, items=1, reason=reason, place="http://c/v1/traces")


def test_a_letter_holds_what_was_refused_and_why(tmp_path: Path):
    directory = tmp_path / "dead"
    assert _add(DeadLetters(directory, wall_clock=lambda: 784111777.25)) == ""

    [head] = list_letters(directory)

    assert head == LetterHead(
        path=head.path,
        signal="traces",
        refused_at_unix_s=784111777.25,
        reason="denied",
        place="http://c/v1/traces",
        items=1,
        size_bytes=len(_REQUEST),
    )
    assert show_letter(head.path) == Letter(head, _REQUEST)
    assert head.path.name.startswith("19941106T084937.250000Z-traces-")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(head.path.stat().st_mode) == 0o600


def test_the_oldest_letters_make_room(tmp_path: Path):
    now_s = 1_000_000_000.0
    letters = DeadLetters(tmp_path, max_letters=2, wall_clock=lambda: now_s)
    for reason in ("one", "two", "three"):
        _add(letters, reason=reason)
        now_s += 1.0
    assert [head.reason for head in list_letters(tmp_path)] == ["two", "three"]


def test_letters_are_bounded_by_bytes(tmp_path: Path):
    now_s = 1_000_000_000.0
    letters = DeadLetters(tmp_path, max_bytes=100_000, wall_clock=lambda: now_s)
    for reason in ("one", "two", "three"):
        _add(letters, b"x" * 40_000, reason)
        now_s += 1.0
    assert [head.reason for head in list_letters(tmp_path)] == ["two", "three"]
    assert _add(letters, b"x" * 100_000) == "a request of 100000 bytes is above the bound of 100000"


def test_what_is_no_letter_is_neither_listed_nor_followed(tmp_path: Path):
    _add(DeadLetters(tmp_path, wall_clock=lambda: 1.0))
    name = "20200101T000000.000000Z-traces-0000000{}.letter"
    (tmp_path / name.format(1)).write_bytes(b"something else")
    (tmp_path / name.format(2)).write_bytes(b"TSPLTR 1\n[]\n")
    (tmp_path / name.format(3)).write_bytes(b'TSPLTR 1\n{"signal": "traces"}\n')
    (tmp_path / name.format(4)).symlink_to("/etc/hostname")
    (tmp_path / "notes.txt").touch()
    assert [head.reason for head in list_letters(tmp_path)] == ["denied"]


def test_a_damaged_letter_is_not_shown(tmp_path: Path):
    _add(DeadLetters(tmp_path))
    [head] = list_letters(tmp_path)
    head.path.write_bytes(head.path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="damaged, its request is not what was written"):
        show_letter(head.path)


def test_a_draft_of_a_writer_that_died_goes_with_the_oldest(tmp_path: Path):
    draft = tmp_path / "20000101T000000.000000Z-traces-00000000.new"
    draft.touch()
    letters = DeadLetters(tmp_path, max_letters=1)
    _add(letters)
    assert [path.suffix for path in tmp_path.iterdir()] == [".letter"]


def test_a_full_disk_is_said_and_not_raised():
    assert _add(DeadLetters(Path(os.devnull) / "dead")).startswith("/dev/null/dead: ")


@pytest.mark.integration
def test_a_letter_is_sent_once_more_and_goes_when_it_is_taken(tmp_path: Path):
    batches: list[Batch] = []
    _add(DeadLetters(tmp_path))
    [head] = list_letters(tmp_path)
    answers = iter([Response(503)])
    with Receiver(batches.append, answer=lambda _batch: next(answers, None)) as receiver:
        channel = open_channel(Destination("traces", f"{receiver.endpoint}/v1/traces"), environ={})
        first = redrive(head.path, channel)[1]
        kept = list_letters(tmp_path)
        letter, second = redrive(head.path, channel)
        channel.close()
    assert (first.kind, kept) == (OutcomeKind.RETRY, [head])
    assert (letter, second) == (Letter(head, _REQUEST), Outcome(OutcomeKind.DELIVERED))
    assert (list_letters(tmp_path), [batch.records for batch in batches]) == ([], [1])
