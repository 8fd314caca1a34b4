"""An option that takes any word, but for which some are suggested when a shell completes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

__all__ = ["SuggestingAction"]


class SuggestingAction(argparse.Action):
    """Stores its value, as `store` does; `suggestions` is what shells offer."""

    def __init__(self, *arguments: Any, suggestions: Iterable[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.suggestions = tuple(suggestions)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _option: Any = None
    ) -> None:
        """Store it."""
        del parser
        setattr(namespace, self.dest, values)
