"""Compiled rules as files: the document of each target as YAML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tickspan.analysis.rules.compile.prometheus import Compiled
    from tickspan.analysis.rules.ruleset import RuleSet

__all__ = ["PROMETHEUS", "TARGETS", "compile_for", "yaml_text"]

PROMETHEUS: Final = "prometheus"
_GRAFANA: Final = "grafana"
_OTTL: Final = "ottl"
TARGETS: Final = (PROMETHEUS, _GRAFANA, _OTTL)
_WIDTH: Final = 10_000
"""Of lines: expressions are not folded."""


def compile_for(target: str, rules: RuleSet, *, data_source: str, is_policy: bool) -> Compiled:
    """What becomes of the rules in a target.

    Args:
        target: one of `TARGETS`.
        rules: to compile.
        data_source: uid of the Prometheus that Grafana asks.
        is_policy: for the collector: the policy of tail sampling, not the filter.
    """
    from tickspan.analysis.rules.compile import grafana, ottl, prometheus

    if target == _GRAFANA:
        return grafana.compile_rules(rules, data_source)
    if target == _OTTL:
        return ottl.compile_policy(rules) if is_policy else ottl.compile_filter(rules)
    return prometheus.compile_rules(rules)


def yaml_text(document: Any) -> str:
    """YAML, with long texts as blocks; JSON, which is YAML too, where PyYAML is not installed."""
    try:
        import yaml  # the extra `alerts` brings it
    except ImportError:
        return json.dumps(document, indent=2) + "\n"

    class Dumper(yaml.SafeDumper):
        """With a style of its own for texts of several lines."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
