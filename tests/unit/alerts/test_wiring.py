"""Where the rule file is, and that nothing is loaded to find that out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tickspan.alerts.wiring import configuration_folders, rule_file
from tickspan.config import AlertSettings, Origin


def test_a_named_file_is_taken_whether_it_is_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text("")
    assert rule_file(AlertSettings(file="~/rules.yaml"), [tmp_path]) == Path("~/rules.yaml").expanduser()


def test_the_usual_names_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    nothing = rule_file(AlertSettings(), [tmp_path])
    for name in ("alerts.yaml", "alerts.toml"):
        (tmp_path / name).write_text("")
    assert (nothing, rule_file(AlertSettings(), [tmp_path / "none", tmp_path])) == (
        None,
        tmp_path / "alerts.toml",
    )


def test_folders_are_those_of_files_that_settings_came_from(tmp_path: Path) -> None:
    file, named = tmp_path / "a/bot.toml", tmp_path / "b/tickspan.toml"
    for path in (file, named):
        path.parent.mkdir()
        path.write_text("")
    origins = {"debug": Origin("file", str(file)), "agent": Origin("environment", "TICKSPAN_AGENT")}
    assert configuration_folders(origins, {"VARIABLE": str(named)}, "VARIABLE") == [
        file.parent,
        named.parent,
    ]


def test_a_rule_file_needs_no_configuration_beside_it(tmp_path: Path) -> None:
    """Where none is named, it is looked for in the working folder, as `tickspan.toml` is."""
    gone = tmp_path / "gone.toml"
    assert (
        configuration_folders({}, {}, "VARIABLE"),
        configuration_folders({}, {"VARIABLE": str(gone)}, "VARIABLE"),
    ) == (
        [Path()],
        [tmp_path],
    )


def test_the_wiring_loads_neither_rules_nor_opentelemetry() -> None:
    program = (
        "import sys, tickspan.alerts.wiring\n"
        "print(sorted(name for name in sys.modules if name.startswith(('opentelemetry', 'tickspan.'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        [
            "tickspan.alerts",
            "tickspan.alerts.wiring",
            "tickspan.config",
            "tickspan.config.conversion",
            "tickspan.config.presets",
            "tickspan.config.reading",
            "tickspan.config.schema",
            "tickspan.version",
        ]
    )
