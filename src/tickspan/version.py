"""The version of the suite; every distribution of the repository carries it."""

__version__ = "0.1.0"
