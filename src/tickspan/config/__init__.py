"""Settings: one frozen dataclass, read once; nothing else reads the environment or a settings file."""

from tickspan.config.reading import Origin, Reading, SettingsError, SettingsProblem, read_settings
from tickspan.config.schema import (
    AgentMode,
    DatabaseSettings,
    Fsync,
    PlanMode,
    PropagateSettings,
    Quantities,
    QueryMode,
    QuerySettings,
    Settings,
    SpoolSettings,
    SqlCommenter,
    TradingSettings,
    setting_keys,
)

__all__ = [
    "AgentMode",
    "DatabaseSettings",
    "Fsync",
    "Origin",
    "PlanMode",
    "PropagateSettings",
    "Quantities",
    "QueryMode",
    "QuerySettings",
    "Reading",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "SpoolSettings",
    "SqlCommenter",
    "TradingSettings",
    "read_settings",
    "setting_keys",
]
