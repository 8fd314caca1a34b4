"""Pure analysis: values in, values out; no telemetry, no I/O, no clock, no thread."""
