"""Contenders side by side: processes that take turns, what a turn costs, and what arrived of its spans."""
