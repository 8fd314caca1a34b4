"""Compiled twins of the profiler's hot modules, where a compiler was there."""
