"""The limits of a container, out of files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickspan.recording.cgroups import (
    Cgroup,
    CgroupCpu,
    CgroupMemory,
    cgroup_folders,
    cpu_limit,
    cpu_stat,
    memory_limit,
)

CPU_STAT = (
    b"usage_usec 3000000\nuser_usec 2500000\nsystem_usec 500000\nnr_periods 40\nnr_throttled 10\n"
    b"throttled_usec 1200000\nnr_bursts 0\nburst_usec 0\n"
)
MOUNTS = (
    "24 1 0:22 / /proc rw - proc proc rw\n30 24 0:26 {root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
)


def container(
    tmp_path: Path, membership: str = "0::/pod/app\n", root: str = "/", **files: str
) -> tuple[Path, Path]:
    """A `/proc` and a tree of groups `pod/app`; files of `app` by name, `__` for the dot."""
    proc, tree = tmp_path / "proc", tmp_path / "tree"
    (proc / "self").mkdir(parents=True)
    (tree / "pod/app").mkdir(parents=True)
    (proc / "self/cgroup").write_text(membership)
    (proc / "self/mountinfo").write_text(MOUNTS.format(root=root, point=tree))
    for name, text in files.items():
        (tree / "pod/app" / name.replace("__", ".")).write_text(text)
    return proc, tree


def test_a_process_in_a_limited_container_is_told_what_it_used(tmp_path: Path) -> None:
    proc, _ = container(
        tmp_path,
        memory__max="1000000\n",
        memory__current="700000\n",
        memory__stat="anon 400000\ninactive_file 250000\nactive_file 50000\n",
        cpu__max="150000 100000\n",
        cpu__stat=CPU_STAT.decode(),
    )
    cgroup = Cgroup(proc)
    assert (cgroup.has_memory_limit, cgroup.has_cpu_limit) == (True, True)
    assert cgroup.memory() == CgroupMemory(usage=700_000, working_set=450_000, limit=1_000_000)
    assert cgroup.cpu() == CgroupCpu(2.5, 0.5, 40, 10, 1_200_000_000)
    assert cgroup.cpus() == 1.5


def test_the_nearest_limit_counts_with_the_counters_of_its_group(tmp_path: Path) -> None:
    proc, tree = container(tmp_path, memory__max="max\n", memory__current="1\n", cpu__max="max 100000\n")
    (tree / "pod/memory.max").write_text("5000\n")
    (tree / "pod/memory.current").write_text("4000\n")
    (tree / "pod/memory.stat").write_text("inactive_file 1000\n")
    cgroup = Cgroup(proc)
    assert cgroup.memory() == CgroupMemory(4000, 3000, 5000)
    assert (cgroup.cpu(), cgroup.cpus()) == (None, None)


def test_a_group_without_limits_is_no_container(tmp_path: Path) -> None:
    proc, _ = container(tmp_path, memory__max="max\n", memory__current="1\n", cpu__max="max 100000\n")
    cgroup = Cgroup(proc)
    assert (cgroup.has_memory_limit, cgroup.has_cpu_limit) == (False, False)
    assert (cgroup.memory(), cgroup.cpu(), cgroup.memory_limit()) == (None, None, None)


def test_a_host_without_version_2_has_no_limits(tmp_path: Path) -> None:
    cgroup = Cgroup(tmp_path)
    assert (cgroup.memory(), cgroup.cpu(), cgroup.cpus()) == (None, None, None)


def test_a_limit_that_vanishes_is_no_limit(tmp_path: Path) -> None:
    proc, tree = container(tmp_path, memory__max="5\n", memory__current="4\n", memory__stat="")
    cgroup = Cgroup(proc)
    (tree / "pod/app/memory.current").unlink()
    assert cgroup.memory() is None


@pytest.mark.parametrize(
    ("membership", "root", "folders"),
    [
        (b"0::/\n", b"/", ["/cg"]),
        (b"0::/a/b\n", b"/", ["/cg/a/b", "/cg/a", "/cg"]),
        (b"0::/docker/1/app\n", b"/docker/1", ["/cg/app", "/cg"]),
        (b"0::/../other\n", b"/", ["/cg"]),
        (b"4:memory:/a\n", b"/", []),
    ],
)
def test_folders_are_found_below_the_mount(membership: bytes, root: bytes, folders: list[str]) -> None:
    mounts = b"30 24 0:26 %b /cg rw shared:4 - cgroup2 cgroup2 rw\n" % root
    assert [str(one) for one in cgroup_folders(membership, mounts)] == folders


def test_texts_become_limits() -> None:
    assert [cpu_limit(text) for text in (b"50000 100000\n", b"max 100000\n", b"1 0", b"")] == [
        0.5,
        None,
        None,
        None,
    ]
    assert [memory_limit(text) for text in (b"4096\n", b"max\n", b"much", b"")] == [4096, None, None, None]
    assert cpu_stat(b"usage_usec 3\nuser_usec 2\nsystem_usec 1\n") is None  # without the CPU controller
