"""Starting the agent: its environment and cores, what is refused, and that the application never notices."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from tickspan_spool.liaison import AgentPlaces, Holder, launch
from tickspan_spool.liaison import detach as detach_module
from tickspan_spool.liaison.detach import cores, parse_cores

_FORCED = {
    "OTEL_SDK_DISABLED": "true",
    "TICKSPAN_AGENT": "off",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "262144",
}


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"HOME": "/home/bot"}, {"HOME": "/home/bot"}),
        ({"PYTHONPATH": "/x/tickspan/auto/site"}, {}),
        ({"PYTHONPATH": "/x/tickspan/auto/site:/lib/mine"}, {"PYTHONPATH": "/lib/mine"}),
        ({"PYTHONPATH": "/v/opentelemetry/instrumentation/auto_instrumentation/"}, {}),
        ({"PYTHONPATH": ":.:src:/bot:/bot/:/bot/lib"}, {"PYTHONPATH": "/bot/lib"}),
        ({"TICKSPAN_AGENT": "auto", "PYTHONWARNINGS": "error", "NOTIFY_SOCKET": "/run/x"}, {}),
    ],
)
def test_the_agents_environment_leads_no_import_astray(
    inherited: Mapping[str, str], expected: Mapping[str, str]
):
    assert launch.environment(inherited, "/bot") == {**expected, **_FORCED}


@pytest.mark.parametrize(
    ("pinned", "possible", "isolated", "expected"),
    [
        ({0, 1, 2, 3}, {0, 1, 2, 3}, set[int](), {0, 1, 2, 3}),
        ({2}, {0, 1, 2, 3}, set[int](), {0, 1, 3}),
        ({2}, {0, 1, 2, 3}, {2, 3}, {0, 1}),
        ({0, 1}, {0, 1, 2, 3}, {2, 3}, {0, 1}),
        ({0}, {0}, {0}, {0}),
    ],
    ids=["not pinned", "pinned", "isolated", "nothing else is left", "one core"],
)
def test_the_agent_keeps_away_from_the_strategys_cores(
    pinned: set[int], possible: set[int], isolated: set[int], expected: set[int]
):
    assert cores(pinned, possible, isolated) == expected


@pytest.mark.parametrize(("text", "expected"), [("\n", set[int]()), ("3\n", {3}), ("1-3,7\n", {1, 2, 3, 7})])
def test_the_kernels_list_of_cores_is_read(text: str, expected: set[int]):
    assert parse_cores(text) == expected


@pytest.mark.parametrize(
    ("executable", "told"),
    [
        ("", "sys.executable is no Python: ''"),
        ("/usr/sbin/nginx", "sys.executable is no Python: '/usr/sbin/nginx'"),
    ],
)
def test_an_interpreter_that_is_no_python_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, executable: str, told: str
):
    monkeypatch.setattr(sys, "executable", executable)
    assert launch.refusal() == told
    assert launch.ensure(AgentPlaces.of(tmp_path)) is None


def test_a_frozen_application_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert launch.refusal() == "the interpreter is frozen into an application"


def test_uwsgi_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uwsgi", textwrap)
    assert launch.refusal() == "the interpreter is embedded in uWSGI"


def test_this_interpreter_may_start_one():
    assert launch.refusal() is None


class _Starts:
    """Counts starts in place of starting, with a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.now_s = 1_000.0
        monkeypatch.setattr(launch, "launch", self._launch)
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)
        monkeypatch.setattr("time.time", lambda: 1e10 + self.now_s)

    def _launch(self, *_arguments: object) -> None:
        self.count += 1


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> _Starts:
    return _Starts(monkeypatch)


def test_an_agent_is_started_once_in_five_seconds(starts: _Starts, tmp_path: Path):
    places = AgentPlaces.of(tmp_path)
    answers = [launch.ensure(places), launch.ensure(places)]
    starts.now_s += 4.9
    answers.append(launch.ensure(places))
    assert (answers, starts.count) == ([Holder(0)] * 3, 1)


def test_three_starts_that_lead_to_no_agent_are_a_refusal_and_the_next_come_later(
    starts: _Starts, tmp_path: Path
):
    places = AgentPlaces.of(tmp_path)
    told: list[tuple[bool, int]] = []
    for seconds in (0, 5, 10, 20, 40, 1, 78, 300):
        starts.now_s += seconds
        told.append((launch.ensure(places) is not None, starts.count))
    assert told == [
        (True, 1),
        (True, 2),
        (True, 3),
        (False, 4),
        (False, 5),
        (False, 5),
        (False, 5),
        (False, 6),
    ]


def test_a_spool_that_cannot_be_used_is_no_agent_and_no_error(tmp_path: Path):
    (tmp_path / "file").touch()
    assert launch.ensure(AgentPlaces.of(tmp_path / "file" / "spool")) is None


def test_a_system_without_room_for_a_process_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def refuse(*_arguments: object, **_options: object) -> int:
        raise OSError(errno.EAGAIN, "no room")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    assert launch.ensure(AgentPlaces.of(tmp_path)) is None


def test_nothing_is_started_while_the_interpreter_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    assert launch.ensure(AgentPlaces.of(tmp_path)) is None


_SURVEY = """
import json, os, sys
(blocked,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigBlk")]
fds = [int(name) for name in os.listdir("/proc/self/fd")]
print(json.dumps({
    "cwd": os.getcwd(),
    "own session": os.getsid(0) != int(sys.argv[1]),
    "leads it": os.getsid(0) == os.getpid(),
    "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    "scheduler": os.sched_getscheduler(0),
    "umask": os.umask(0),
    "oom": int(open("/proc/self/oom_score_adj").read()),
    "fds": sorted(fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")),
    "blocked": int(blocked, 16),
}))
"""


@pytest.mark.integration
def test_a_detached_process_has_nothing_of_its_parent(tmp_path: Path):
    out = tmp_path / "out"
    leaking = os.dup(0)
    os.set_inheritable(leaking, True)  # noqa: FBT003 - the standard library's signature
    read, write = os.pipe()
    with out.open("wb") as file:
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                detach_module.__file__,
                sys.executable,
                "-c",
                _SURVEY,
                str(os.getsid(0)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=write,
            close_fds=False,
            check=True,
            timeout=10,
        )
    os.close(leaking)
    os.close(write)
    with os.fdopen(read, "rb") as errors:
        assert errors.read() == b""  # also the wait for the end of the detached one
    assert done.returncode == 0
    assert json.loads(out.read_text()) == {
        "cwd": "/",
        "own session": True,
        "leads it": True,
        "niceness": max(10, os.getpriority(os.PRIO_PROCESS, 0)),
        "scheduler": os.SCHED_OTHER,
        "umask": 0o077,
        "oom": 500,
        "fds": [0, 1, 2],
        "blocked": 0,
    }
