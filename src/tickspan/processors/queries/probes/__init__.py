"""Probes: connections of our own that ask a database for its schema and its plans, and for nothing else."""
