"""Faults: one table of what stock OpenTelemetry and tickspan make of the same bad days."""
