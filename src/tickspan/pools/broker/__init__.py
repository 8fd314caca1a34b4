"""Pools of broker connections: decisions as values, effects by threads or by tasks."""
