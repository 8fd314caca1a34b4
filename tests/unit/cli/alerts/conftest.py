"""A rule file with its unit tests, and a command line that runs on them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.cli import main

RULES = """
version: 1
metrics: {desk.trades: {kind: counter, unit: "{trade}"}, desk.lag: {kind: gauge, unit: s}}
rules:
  - name: FewTrades
    metric: desk.trades
    stat: increase
    condition: lt
    threshold: 5
    for: 10s
    severity: error
    annotations: {summary: "{{ value }} trades of {{ labels.job }}"}
  - {name: Lag, metric: desk.lag, stat: last, threshold: 100ms, scope: service}
"""
TESTS = """
rule_files: [alerts.yaml]
evaluation_interval: 10s
tests:
  - name: a desk that stops trading
    interval: 10s
    input_series:
      - {series: 'desk_trades_total{job="desk", instance="a"}', values: "10+2x12 34x12"}
    alert_rule_test:
      - {eval_time: 2m, alertname: FewTrades}
      - eval_time: 4m
        alertname: FewTrades
        exp_alerts:
          - exp_labels: {job: desk, instance: a, scope: process, severity: error}
            exp_annotations: {summary: 0 trades of desk}
"""

Tickspan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    (tmp_path / "alerts.yaml").write_text(RULES)
    (tmp_path / "alerts_test.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKSPAN_ALERTS_FILE", raising=False)
    return tmp_path


@pytest.fixture
def tickspan(folder: Path, capsys: pytest.CaptureFixture[str]) -> Tickspan:
    """Runs `tickspan alerts`; its exit status, what it prints, and what it complains about."""
    del folder

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["alerts", *arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run
