"""Applying a preset to a program that runs, and taking it back; what is global in a process of its own."""

import gc
import json
import logging
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tickspan import presets
from tickspan.config import PresetRow, Reading, Settings, read_settings
from tickspan.lazy.rules import current_rules
from tickspan.logs.capture import CAPTURE
from tickspan.pools import defaults
from tickspan.presets import State, application, standing
from tickspan.presets.knobs import Knob, NotNowError
from tickspan.recording import diagnostics
from tickspan.recording.loops import LOOPS

Ended = subprocess.CompletedProcess[str]

_STATE = """
import gc, json, logging
from opentelemetry import metrics
from tickspan.cache import get_cache, shared
from tickspan.lazy.rules import current_rules
from tickspan.logs.capture import CAPTURE
from tickspan.memory.governor import governor
from tickspan.pools import defaults
from tickspan.presets import standing
from tickspan.profiler import get_profiler
from tickspan.recording.loops import LOOPS

def state():
    cache = get_cache()
    return [
        gc.get_threshold(), gc.get_freeze_count() > 5_000, repr(governor().current), LOOPS.period_s,
        repr(defaults.settings_used()), repr(cache.rules_used), cache.keeps_orders,
        repr({name: region.rules for name, region in cache.regions.items() if name != "orders"}),
        repr(current_rules()), get_profiler().is_running, repr(CAPTURE.settings), CAPTURE.level,
        logging.getLogger("tickspan").level, metrics.get_meter_provider().interval_s,
        repr(standing.reading_used()), id(cache), id(CAPTURE.settings), id(defaults.settings_used()),
        id(current_rules()),
    ]
"""


@pytest.fixture(autouse=True)
def nothing_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Presets go by settings that are all defaults."""
    monkeypatch.setattr(standing, "_reading", read_settings(None, environ={}, overrides={}))
    yield
    diagnostics.setLevel(logging.WARNING)


@pytest.mark.integration
@pytest.mark.parametrize("name", presets.PRESETS)
def test_undo_leaves_the_same_objects_and_values(run_python: Callable[..., Ended], name: str):
    ended = run_python(
        f"import tickspan; tickspan.init()\n{_STATE}\n"
        f"before = state()\n"
        f"with tickspan.presets.apply({name!r}) as applied: within = state()\n"
        f"after = state()\n"
        f"print(json.dumps([before == after, before != within, [one.state for one in applied.outcomes]]))",
        TICKSPAN_AGENT="off",
    )
    restored, changed, states = json.loads(ended.stdout)
    assert (restored, changed) == (True, True)
    assert set(states) == {"applied", "at start"}


@pytest.mark.integration
def test_the_collector_of_a_program_that_runs_is_governed_and_let_go(run_python: Callable[..., Ended]):
    ended = run_python(
        "import gc, tickspan\n"
        "before = gc.get_threshold()\n"
        "applied = tickspan.presets.apply('hft')\n"
        "print(gc.get_threshold(), gc.get_freeze_count() > 5_000)\n"
        "applied.undo(); applied.undo()\n"
        "print(gc.get_threshold() == before, gc.get_freeze_count() > 5_000)\n"
    )
    assert ended.stdout == "(1000, 5, 1) True\nTrue False\n"


@pytest.mark.integration
def test_an_earlier_plan_for_the_collector_holds_again(run_python: Callable[..., Ended]):
    ended = run_python(
        "import tickspan\n"
        "tickspan.memory.optimize_for_large_datasets()\n"
        "with tickspan.presets.apply('hft'): print(tickspan.memory.get_memory_optimizer().current.name)\n"
        "print(tickspan.memory.get_memory_optimizer().current.name)\n"
    )
    assert ended.stdout == "high frequency trading\nlarge datasets\n"


@pytest.mark.integration
def test_what_can_only_be_chosen_at_the_start_is_named_in_one_line(run_python: Callable[..., Ended]):
    ended = run_python("import tickspan; print(tickspan.presets.apply('debug'))", TICKSPAN_AGENT="off")
    (line,) = [line for line in ended.stderr.splitlines() if "only at the start" in line]
    assert line.startswith("tickspan: preset debug: only at the start (tickspan run --preset): memory.checks")
    assert "redis.message_spans" in line
    assert ended.stdout.startswith("<Applied debug: ")


def test_pools_scans_logs_and_loops_follow_until_undo():
    before = (defaults.settings_used(), current_rules(), CAPTURE.settings, LOOPS.period_s, diagnostics.level)
    with presets.apply("debug"):
        within = (
            defaults.settings_used().max_hold_s,
            current_rules().prefetch,
            CAPTURE.settings.level,
            LOOPS.period_s,
            diagnostics.level,
        )
    after = (defaults.settings_used(), current_rules(), CAPTURE.settings, LOOPS.period_s, diagnostics.level)
    assert within == (5.0, 0, "DEBUG", 0.02, logging.DEBUG)
    assert all(one is two for one, two in zip(before, after, strict=True))


def test_what_the_program_its_environment_or_its_file_sets_is_stronger(monkeypatch: pytest.MonkeyPatch):
    given = read_settings(None, environ={"TICKSPAN_POOLS_MAX_HOLD_S": "7"}, overrides={})
    monkeypatch.setattr(standing, "_reading", given)
    with presets.apply("debug") as applied:
        held = defaults.settings_used()
    (kept,) = applied.of_state(State.KEPT)
    assert (kept.row.key, kept.detail) == ("pools.max_hold_s", "environment (TICKSPAN_POOLS_MAX_HOLD_S)")
    assert held is defaults.settings_used()


def test_what_holds_already_is_not_done_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        standing, "_reading", read_settings(None, environ={"TICKSPAN_PRESET": "debug"}, overrides={})
    )
    with presets.apply("debug") as applied:
        assert {one.state for one in applied.outcomes} == {State.HELD}


def test_one_applied_within_another_is_undone_to_that_one(knobs: list[tuple[float, float]]):
    with presets.apply("hft"):
        with presets.apply("oms"):
            assert knobs[-1] == (5.0, 10.0)
        assert standing.reading_used().settings.pools.max_hold_s == 5.0
    assert standing.reading_used().settings == Settings()


def test_an_unknown_name_changes_nothing_and_names_the_nearest():
    with pytest.raises(ValueError, match=r"^unknown preset 'debgu'; did you mean 'debug'\?$"):
        presets.apply("hft", "debgu")
    assert standing.reading_used().settings == Settings()


@pytest.fixture
def knobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The only knob notes from what to what the pools are set."""
    noted: list[tuple[float, float]] = []

    def turn(before: Settings, after: Settings) -> Callable[[], None]:
        noted.append((before.pools.max_hold_s, after.pools.max_hold_s))
        return noted.clear

    monkeypatch.setattr(application, "KNOBS", (Knob(("pools.max_hold_s",), turn),))
    return noted


def test_a_fault_of_one_knob_turns_all_others_back(monkeypatch: pytest.MonkeyPatch):
    undone: list[str] = []

    def turned(_before: Settings, _after: Settings) -> Callable[[], None]:
        return lambda: undone.append("pools")

    def broken(_before: Settings, _after: Settings) -> Callable[[], None]:
        raise ZeroDivisionError

    both = (Knob(("pools.max_hold_s",), turned), Knob(("lazy.fetch_s",), broken))
    monkeypatch.setattr(application, "KNOBS", both)
    with pytest.raises(ZeroDivisionError):
        presets.apply("hft")
    assert (undone, standing.reading_used().settings) == (["pools"], Settings())


def test_a_knob_that_cannot_be_turned_says_why(monkeypatch: pytest.MonkeyPatch):
    def stuck(_before: Settings, _after: Settings) -> Callable[[], None]:
        raise NotNowError("it is stuck")

    monkeypatch.setattr(application, "KNOBS", (Knob(("pools.max_hold_s",), stuck),))
    with presets.apply("oms") as applied:
        found = {one.row.key: str(one) for one in applied.of_state(State.AT_START)}
    assert found["pools.max_hold_s"] == "pools.max_hold_s = 10.0  [at start: it is stuck]"


def test_the_settings_in_force_say_where_they_are_from(knobs: list[tuple[float, float]]):
    del knobs
    with presets.apply("hft"):
        reading: Reading = standing.reading_used()
    assert str(reading.origins["pools.max_hold_s"]) == "preset hft"


def test_a_row_is_shown_with_its_value():
    row = PresetRow("redis.timeout_s", 0.005, "why")
    assert str(presets.Outcome(row, State.APPLIED)) == "redis.timeout_s = 0.005  [applied]"
    assert gc.isenabled()
