"""Writes the default pack's conditions for the shipped gateway: `python scripts/collector_alerts.py`.

`collector-config/gateway/alerts` holds what `tickspan alerts compile --to ottl` makes of the default pack.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Final

from tickspan.alerts.file import load_rules
from tickspan.analysis.rules.compile.ottl import compile_filter, compile_policy
from tickspan.cli.alerts.compiled import yaml_text

__all__ = ["DEFAULT_RULES", "FOLDER", "texts"]

FOLDER: Final = Path(__file__).resolve().parent.parent / "collector-config" / "gateway" / "alerts"
DEFAULT_RULES: Final = Path(str(resources.files("tickspan.alerts"))) / "pack" / "default.yaml"

_HEADS: Final = {
    "filter.yaml": """\
# Layer with gateway/alert_gateway.yaml: drops what no event rule asks for. Written from the default pack by
# `python scripts/collector_alerts.py`; for rules of your own:
#
#     tickspan alerts compile --to ottl alerts.yaml -o gateway/alerts/filter.yaml
""",
    "policy.yaml": """\
# The policy `alerts` of gateway/sampling.yaml, which includes this file: traces with a span that raises an
# alert by itself are kept. Written from the default pack, whose event rules are about log events, by
# `python scripts/collector_alerts.py`; for rules of your own:
#
#     tickspan alerts compile --to ottl --policy --lossy alerts.yaml -o gateway/alerts/policy.yaml
""",
}


def texts(rules: Path = DEFAULT_RULES) -> dict[str, str]:
    """Both files of a rule file, by name. Raises RuleFileError."""
    loaded = load_rules(rules)
    documents = {
        "filter.yaml": compile_filter(loaded).document,
        "policy.yaml": compile_policy(loaded).document,
    }
    return {name: f"{_HEADS[name]}\n{yaml_text(document)}" for name, document in documents.items()}


def main() -> int:
    """Write both files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
