"""The rows of presets, and where they stand among the layers of settings."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tickspan.config import PRESETS, PURPOSES, Reading, Settings, read_settings, setting_keys, with_values
from tickspan.presets.knobs import KNOBS, reason_for_start


def _read(folder: Path, environ: Mapping[str, str] | None = None, **overrides: object) -> Reading:
    return read_settings(None, environ=environ or {}, directory=folder, overrides=overrides)


@pytest.mark.parametrize("name", PRESETS)
def test_each_row_changes_a_setting_once(name: str):
    defaults = Settings()
    keys = [row.key for row in PRESETS[name]]
    idle = [row.key for row in PRESETS[name] if with_values(defaults, {row.key: row.value}) == defaults]
    assert (idle, len(keys)) == ([], len(set(keys)))


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_covers_memory_pools_cache_profiler_queries_scans_and_tracing(name: str):
    sections = {row.key.partition(".")[0] for row in PRESETS[name]}
    assert {"memory", "pools", "cache", "profiler", "queries", "lazy"} - sections == set()
    assert sections & {"tracing", "trading", "database", "redis"}


def test_each_preset_says_for_whom_it_is_and_each_row_why():
    assert PURPOSES.keys() == PRESETS.keys()
    assert [row.key for rows in PRESETS.values() for row in rows if not row.why] == []


def test_each_setting_of_a_preset_is_turned_by_one_knob_or_says_why_it_is_not():
    turned = [key for knob in KNOBS for key in knob.keys]
    wanted = {row.key for rows in PRESETS.values() for row in rows}
    undecided = {key for key in wanted if (key in turned) == (reason_for_start(key) is not None)}
    assert (undecided, len(turned)) == (set(), len(set(turned)))


def test_every_row_holds_and_knows_its_origin(tmp_path: Path):
    reading = _read(tmp_path, {"TICKSPAN_PRESET": "risk"})
    wanted = with_values(reading.settings, {row.key: row.value for row in PRESETS["risk"]})
    origins = {name: str(origin) for name, origin in reading.origins.items() if origin.layer != "default"}
    assert reading.checked() == wanted
    assert origins == {
        **dict.fromkeys((row.key for row in PRESETS["risk"]), "preset risk"),
        "preset": "environment (TICKSPAN_PRESET)",
    }


def test_code_is_stronger_than_environment_than_file_than_preset_than_default(tmp_path: Path):
    (tmp_path / "tickspan.toml").write_text(
        'preset = "hft"\n[redis]\ntimeout_s = 3\n[pools]\nmax_hold_s = 3\n'
    )
    reading = _read(tmp_path, {"TICKSPAN_REDIS_TIMEOUT_S": "2"}, cache={"quotes_ttl_s": 4})
    settings = reading.checked()
    assert (
        settings.cache.quotes_ttl_s,
        settings.redis.timeout_s,
        settings.pools.max_hold_s,
        settings.memory.heartbeat_s,
        settings.memory.interval_s,
    ) == (4.0, 2.0, 3.0, 0.02, 0.1)


def test_the_preset_of_the_strongest_layer_is_the_only_one(tmp_path: Path):
    (tmp_path / "tickspan.toml").write_text('preset = "hft"\n')
    reading = _read(tmp_path, {"TICKSPAN_PRESET": "hft"}, preset="oms")
    assert (reading.settings.preset, reading.settings.redis.timeout_s) == (("oms",), 0.05)


def test_of_several_presets_the_last_is_strongest(tmp_path: Path):
    reading = _read(tmp_path, {"TICKSPAN_PRESET": "hft, oms"})
    found = {key: str(reading.origins[key]) for key in ("pools.max_hold_s", "redis.timeout_s")}
    assert found == {"pools.max_hold_s": "preset oms", "redis.timeout_s": "preset hft"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hfd", "unknown preset 'hfd'; did you mean 'hft'?"),
        ("HFT", "unknown preset 'HFT'; did you mean 'hft'?"),
        ("zzzz", "unknown preset 'zzzz'; known: hft, risk, oms, debug"),
    ],
)
def test_an_unknown_preset_is_a_problem_that_names_the_nearest_and_a_weaker_one_counts(
    tmp_path: Path, name: str, told: str
):
    (tmp_path / "tickspan.toml").write_text('preset = "oms"\n')
    reading = _read(tmp_path, {"TICKSPAN_PRESET": name})
    assert [str(problem) for problem in reading.problems] == [f"TICKSPAN_PRESET: preset: {told}"]
    assert (reading.settings.preset, str(reading.origins["cache.orders"])) == (("oms",), "preset oms")


def test_a_key_is_the_same_in_the_tables_of_settings_and_presets():
    known = {key.name for key in setting_keys()}
    assert {row.key for rows in PRESETS.values() for row in rows} - known == set()
