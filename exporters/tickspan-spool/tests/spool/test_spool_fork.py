from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from typing import Any

import pytest
from tickspan_spool.ledger import Ledger


def _by_parentage(bench: Any) -> tuple[Any, list[Any]]:
    folders = {folder.description.pid: folder for folder in bench.folders()}
    return folders.pop(os.getpid()), list(folders.values())


@pytest.mark.usefixtures("form")
def test_a_child_writes_into_a_folder_of_its_own(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    stream.append(b"parent before")

    status = kit.child(lambda: stream.append(b"child")).wait()
    stream.append(b"parent after")
    mine, (childs,) = _by_parentage(bench)

    assert status == 0
    assert kit.bodies(kit.deliver(mine)) == [b"parent before", b"parent after"]
    assert kit.bodies(kit.deliver(childs)) == [b"child"]
    assert (mine.is_alive(), childs.is_alive()) == (True, False)
    assert (kit.traces(mine), kit.traces(childs)) == (Ledger(2, 2, 0, {}), Ledger(1, 1, 0, {}))


@pytest.mark.usefixtures("form")
def test_a_child_that_records_nothing_leaves_nothing(bench: Any, kit: Any):
    spool = bench.spool()
    spool.stream(kit.key).append(b"x")

    kit.child(lambda: None).wait()

    assert len(bench.folders()) == 1


@pytest.mark.usefixtures("form")
def test_a_grandchild_and_its_parents_have_three_folders(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    stream.append(b"parent")

    def child() -> None:
        stream.append(b"child")
        assert kit.child(lambda: stream.append(b"grandchild")).wait() == 0
        stream.append(b"child again")

    assert kit.child(child).wait() == 0
    mine, others = _by_parentage(bench)

    assert kit.bodies(kit.deliver(mine)) == [b"parent"]
    assert sorted(kit.bodies(kit.deliver(other)) for other in others) == [
        [b"child", b"child again"],
        [b"grandchild"],
    ]


@pytest.mark.usefixtures("form")
def test_a_fork_that_python_does_not_see_is_noticed_by_the_wiped_page(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stream.append(b"parent")
    spool._keeper.stop(5)  # a thread that waits for the interpreter would be a ghost in such a child
    library = ctypes.PyDLL(None)  # keeps the interpreter's lock over the call, like a server written in C

    pid = library.fork()
    if not pid:
        spool._keeper.wake = spool.statistics
        stream.append(b"child")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    mine, (childs,) = _by_parentage(bench)

    assert status == 0
    assert kit.bodies(kit.deliver(mine)) == [b"parent"]
    assert kit.bodies(kit.deliver(childs)) == [b"child"]


@pytest.mark.usefixtures("form")
def test_a_fork_while_a_thread_records_harms_neither(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stop = threading.Event()
    counted: list[int] = []

    def record() -> None:
        number = 0
        while not stop.is_set():
            stream.append(b"%d" % number)
            number += 1
        counted.append(number)

    worker = threading.Thread(target=record)
    worker.start()
    children = [kit.child(lambda: [stream.append(b"child") for _ in range(50)]) for _ in range(10)]
    statuses = [child.wait() for child in children]
    stop.set()
    worker.join()
    mine, others = _by_parentage(bench)

    assert statuses == [0] * 10
    assert kit.bodies(kit.deliver(mine)) == [b"%d" % number for number in range(counted[0])]
    assert [kit.bodies(kit.deliver(other)) for other in others] == [[b"child"] * 50] * 10


@pytest.mark.usefixtures("form")
def test_a_living_child_does_not_keep_the_lock_of_its_dead_parent(bench: Any, kit: Any):
    ready, go = os.pipe(), os.pipe()

    def parent() -> None:
        spool = bench.spool()
        stream = spool.stream(kit.key)
        stream.append(b"parent")

        def child() -> None:
            os.close(go[1])
            os.write(ready[1], b"%d" % os.getpid())
            os.read(go[0], 1)

        kit.child(child)
        os.write(ready[1], b"")

    assert kit.child(parent).wait() == 0
    os.read(ready[0], 20)
    (path,) = (bench.directory / "v1").iterdir()
    with (path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(go[1], b"x")
    for fd in (*ready, *go):
        os.close(fd)


@pytest.mark.usefixtures("form")
def test_a_child_does_not_free_the_lock_of_its_living_parent(bench: Any, kit: Any):
    spool = bench.spool()
    spool.stream(kit.key).append(b"x")
    kit.child(lambda: spool.stream(kit.key).append(b"y")).wait()

    with (spool.path / "lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_application_that_closes_all_descriptors_does_not_hurt(bench: Any, kit: Any):
    read, write = os.pipe()

    def daemon() -> None:
        spool = bench.spool()
        stream = spool.stream(kit.key)
        stream.append(b"before")
        os.closerange(3, write)
        os.closerange(write + 1, 64)
        taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        for number in range(300):
            stream.append(b"%d" % number + b"x" * 1000)
        spool.forget()
        still_open = [fd for fd in taken if os.fstat(fd)]
        os.write(write, b"%d" % len(still_open))

    assert kit.child(daemon).wait() == 0
    (reader,) = bench.folders()

    assert os.read(read, 10) == b"20"
    assert len(kit.deliver(reader)) == 301
    os.close(read)
    os.close(write)
