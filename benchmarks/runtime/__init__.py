"""What memory, profiler and logs cost, and what they find."""
