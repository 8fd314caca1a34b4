"""Figures of the trading part: ticks, orders, memory, alarms, matching, back-tests, wire."""
