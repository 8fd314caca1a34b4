"""The settings that there are: each with variable, default and meaning."""

from pathlib import Path

from tickspan.config import Quantities, Settings, TradingSettings, read_settings, setting_keys


def test_every_key_has_one_variable_and_a_meaning():
    keys = list(setting_keys())
    assert [key.name for key in keys if not key.meaning] == []
    assert len({key.variable for key in keys}) == len(keys)
    assert {key.name: key.variable for key in keys}["trading.max_tick_age_s"] == (
        "TICKSPAN_TRADING_MAX_TICK_AGE_S"
    )


def test_every_default_is_that_of_the_settings():
    assert {key.name: key.default for key in setting_keys()} == {
        key.name: key.value_in(Settings()) for key in setting_keys()
    }


def test_every_key_can_be_set_by_its_variable(tmp_path: Path):
    environ = {key.variable: str(key.default) for key in setting_keys() if key.default}
    reading = read_settings(environ=environ, directory=tmp_path)
    assert (reading.settings, reading.problems) == (Settings(), ())


def test_what_must_not_be_shown_is_marked():
    secrets = [key.name for key in setting_keys() if key.is_secret]
    assert secrets == ["trading.salt", "trading.store", "cache.url", "redis.password"]


def test_the_settings_of_trading_are_those_its_package_takes():
    from tickspan.trading import Quantities as TradingQuantities  # a heavier import than the others here
    from tickspan.trading import TradingSettings as Taken

    settings = TradingSettings(quantities=Quantities.FULL, salt="x")
    assert TradingQuantities(str(settings.quantities)) is TradingQuantities.FULL
    names = [key.name for key in setting_keys() if key.name.startswith("trading.")]
    assert {name.rpartition(".")[2] for name in names} <= set(Taken.__dataclass_fields__)


def test_the_reference_page_has_a_row_for_every_key_with_variable_and_meaning():
    page = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.read_text().splitlines()
        if line.startswith("| `")
    ]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        (f"`{key.name}`", f"`{key.variable}`", key.meaning) for key in setting_keys()
    ]
