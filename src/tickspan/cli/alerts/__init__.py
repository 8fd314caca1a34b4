"""`tickspan alerts`: rules that page people."""

from tickspan.cli.alerts.command import AlertsCommand

__all__ = ["AlertsCommand"]
