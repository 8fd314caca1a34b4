"""A profile in the forms that others read: folded stacks, pprof, flame graphs, OTLP."""
