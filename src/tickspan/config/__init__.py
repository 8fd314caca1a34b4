"""Settings: one frozen dataclass, read once; nothing else reads the environment or a settings file."""

from tickspan.config.reading import Origin, Reading, SettingsError, SettingsProblem, read_settings
from tickspan.config.schema import Quantities, Settings, TradingSettings, setting_keys

__all__ = [
    "Origin",
    "Quantities",
    "Reading",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "TradingSettings",
    "read_settings",
    "setting_keys",
]
