"""A local desk for telemetry: OTLP in, a small store, one live page that explains an order."""
