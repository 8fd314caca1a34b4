"""Settings: one frozen dataclass, read once; nothing else reads the environment or a settings file."""

from tickspan.config.reading import Origin, Reading, SettingsError, SettingsProblem, read_settings
from tickspan.config.schema import (
    AgentMode,
    Fsync,
    PropagateSettings,
    Quantities,
    Settings,
    SpoolSettings,
    TradingSettings,
    setting_keys,
)

__all__ = [
    "AgentMode",
    "Fsync",
    "Origin",
    "PropagateSettings",
    "Quantities",
    "Reading",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "SpoolSettings",
    "TradingSettings",
    "read_settings",
    "setting_keys",
]
