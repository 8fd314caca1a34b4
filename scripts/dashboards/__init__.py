"""Dashboards for Grafana, made from the catalogue of metrics: `python -m scripts.dashboards`."""
