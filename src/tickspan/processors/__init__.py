"""What happens to telemetry of any instrumentor on its way: one module per concern, none knows another."""
