from __future__ import annotations

from typing import Any


def test_a_prepared_spool_has_its_folder_before_the_first_record(bench: Any, kit: Any):
    spool = bench.spool()
    spool.prepare()
    (before,) = bench.folders()
    spool.stream(kit.key).append(b"one")

    (reader,) = bench.folders()
    assert (reader.path, spool.path) == (before.path, before.path)
    assert [entry.body for entry in kit.deliver(reader)] == [b"one"]


def test_a_folder_in_which_nothing_was_recorded_is_removed_at_the_end(bench: Any):
    spool = bench.spool()
    spool.prepare()
    spool.close()
    assert bench.folders() == []


def test_a_child_makes_a_folder_of_its_own_and_leaves_the_prepared_one(bench: Any, kit: Any):
    spool = bench.spool()
    spool.prepare()
    (prepared,) = bench.folders()

    def work() -> None:
        spool.stream(kit.key).append(b"child")

    assert kit.child(work).wait() == 0
    assert prepared.is_alive(fresh=True)
    spool.stream(kit.key).append(b"parent")
    told = {reader.path == prepared.path: kit.deliver(reader) for reader in bench.folders()}
    assert {mine: [entry.body for entry in entries] for mine, entries in told.items()} == {
        True: [b"parent"],
        False: [b"child"],
    }


def test_a_directory_that_cannot_be_used_is_no_matter_until_a_record_comes(bench: Any, kit: Any):
    bench.directory.mkdir()
    bench.directory.chmod(0o777)
    spool = bench.spool()
    spool.prepare()
    spool.stream(kit.key).append(b"x")
    assert (spool.statistics().mode, list(bench.directory.iterdir())) == ("ring", [])
