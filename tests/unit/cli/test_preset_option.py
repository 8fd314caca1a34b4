"""`--preset` of `tickspan run` and `tickspan doctor`."""

import argparse
import json
import subprocess
from collections.abc import Callable

import pytest

from tickspan.cli.errors import CommandError
from tickspan.cli.main import build_parser, main
from tickspan.cli.preset_option import known_presets, preset_difference
from tickspan.cli.run import environment
from tickspan.config import PRESETS

Ended = subprocess.CompletedProcess[str]


def _parsed(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["run", *arguments, "bot"])


@pytest.mark.parametrize(
    ("arguments", "inherited", "told"),
    [
        (["--preset", "hft"], {}, "hft"),
        (["--preset", "hft, oms"], {}, "hft,oms"),
        (["--preset", "hft", "--debug"], {}, "hft,debug"),
        (["--preset", "hft"], {"TICKSPAN_PRESET": "oms"}, "hft"),
        (["--debug"], {"TICKSPAN_PRESET": "oms"}, "oms,debug"),
        ([], {"TICKSPAN_PRESET": "oms"}, "oms"),
        ([], {"TICKSPAN_PRESET": "unheard of"}, "unheard of"),
    ],
)
def test_presets_become_a_variable_and_debug_is_the_strongest(
    arguments: list[str], inherited: dict[str, str], told: str
):
    assert environment(_parsed(*arguments), inherited)["TICKSPAN_PRESET"] == told


def test_an_unknown_preset_is_an_error_that_names_the_nearest():
    with pytest.raises(CommandError, match=r"^--preset: unknown preset 'htf'; did you mean 'hft'\?$"):
        known_presets("oms,htf")


def test_doctor_shows_what_a_preset_would_change_and_what_is_stronger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TICKSPAN_REDIS_TIMEOUT_S", "0.5")
    status = main(["doctor", "--preset", "hft"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert (status, list(lines)) == (0, [row.key for row in PRESETS["hft"]])
    assert lines["redis.timeout_s"].endswith("0.5 stays: environment (TICKSPAN_REDIS_TIMEOUT_S) is stronger")
    assert "none -> hft  full collections" in lines["memory.optimize"]


def test_what_a_preset_set_is_told_as_already_there():
    told = preset_difference(["oms"], {"TICKSPAN_PRESET": "oms"}, is_json=False)
    assert [line for line in told.splitlines() if " already  " not in line] == []


def test_the_difference_as_data():
    told = json.loads(preset_difference(["oms"], {}, is_json=True))
    assert told["presets"] == ["oms"]
    assert told["settings"][0] == {
        "key": "memory.optimize",
        "now": "",
        "then": "hft",
        "origin": "preset oms",
        "why": "an acknowledgement does not wait for the garbage collector",
    }


@pytest.mark.integration
def test_a_program_starts_under_a_preset_and_doctor_tells_its_origin(run: Callable[..., Ended]):
    program = (
        "from tickspan.distro import TickspanDistro as D; print(D.settings_read().settings.pools.max_hold_s)"
    )
    ran = run("tickspan", "run", "--preset", "hft", "--", "python", "-c", program)
    told = run("tickspan", "doctor", "--settings", TICKSPAN_PRESET="hft")
    (line,) = [line for line in told.stdout.splitlines() if "pools.max_hold_s =" in line]
    assert (ran.stdout, ran.stderr) == ("5.0\n", "")
    assert "[preset hft; TICKSPAN_POOLS_MAX_HOLD_S]" in line


@pytest.mark.integration
def test_init_takes_a_preset_and_names_the_nearest_of_an_unknown_one(run: Callable[..., Ended]):
    good = run("python", "-c", "import tickspan; print(tickspan.init(preset='oms').pools.max_hold_s)")
    bad = run("python", "-c", "import tickspan; tickspan.init(preset='omss')")
    assert good.stdout == "10.0\n"
    assert bad.stderr.splitlines()[-1].endswith("preset: unknown preset 'omss'; did you mean 'oms'?")


@pytest.mark.integration
def test_debug_says_in_a_line_each_what_it_shows(run: Callable[..., Ended]):
    ended = run("tickspan", "run", "--debug", "--", "python", "-c", "print('ran')")
    lines = ended.stderr.splitlines()
    shown = [f"tickspan: {row.key} = {row.value}: {row.why}" for row in PRESETS["debug"]]
    assert (ended.stdout, lines[: len(shown)]) == ("ran\n", shown)
    assert "instrumentor 'tickspan_redis' is on" in ended.stderr


@pytest.mark.integration
def test_debug_of_the_environment_alone_tells_only_what_is_on(run: Callable[..., Ended]):
    ended = run("tickspan", "run", "--", "python", "-c", "pass", TICKSPAN_DEBUG="true")
    assert "memory.checks" not in ended.stderr
    assert "is on" in ended.stderr


@pytest.mark.integration
def test_the_logger_of_tickspan_shows_more_when_its_level_is_set(run: Callable[..., Ended]):
    program = (
        "import logging; logging.getLogger('tickspan').setLevel(logging.DEBUG)\n"
        "import tickspan; tickspan.init()"
    )
    assert "is on" in run("python", "-c", program).stderr


@pytest.mark.integration
def test_states_of_orders_are_kept_from_the_start_under_oms(run: Callable[..., Ended]):
    program = (
        "import tickspan\n"
        "from tickspan.trading import OrderOperation, OrderRequest\n"
        "tickspan.init(preset='oms')\n"
        "request = OrderRequest(OrderOperation.SUBMIT, 'desk', 'house', client_id='c1')\n"
        "with tickspan.order_span(request): pass\n"
        "print(tickspan.get_cache().sync.get_cached_order_status('desk', 'c1') is not None)"
    )
    assert run("python", "-c", program, TICKSPAN_AGENT="off").stdout == "True\n"
