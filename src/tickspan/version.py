"""The version of the suite; every distribution of the repository carries it."""

from typing import Final

__version__: Final = "0.1.0"
