"""The secret: a value that a rule file only points to, by `NAME_file` or `${env:VARIABLE}`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["OptionError", "Secret"]

_REFERENCE: Final = re.compile(r"\$\{env:([A-Za-z_]\w*)\}")
_FILE_BYTES: Final = 64 * 1024


class OptionError(ValueError):
    """An option of a notifier cannot be used; says which, what was expected, and never a value."""


class Secret:
    """Read anew at each use: a rotated file counts from the next message on. The repr shows no value."""

    def __init__(self, name: str, *, file: Path | None = None, variable: str = "", plain: str = "") -> None:
        """One of the three says where the value is; `plain` is a value that need not be hidden."""
        self._name = name
        self._file = file
        self._variable = variable
        self._plain = plain

    def __repr__(self) -> str:
        return f"<Secret {self._name} of {self._file or self._variable or 'the rule file'}>"

    @staticmethod
    def of(options: Mapping[str, Any], name: str, *, may_be_plain: bool = False) -> Secret | None:
        """The secret `name` of a notifier's options: `NAME_file: PATH`, or `NAME: ${env:VARIABLE}`.

        Args:
            options: of the notifier.
            name: of the option.
            may_be_plain: whether the value itself may stand in the rule file.

        Returns:
            None when neither is given.

        Raises:
            OptionError: both are given, or the value itself where it must not be.
        """
        file, given = options.get(f"{name}_file"), options.get(name)
        if file is not None and given is not None:
            raise OptionError(f"{name}: expected {name} or {name}_file, got both")
        if file is not None:
            return Secret(name, file=Path(str(file)).expanduser())
        if given is None:
            return None
        match = _REFERENCE.fullmatch(str(given).strip())
        if match:
            return Secret(name, variable=match[1])
        if not may_be_plain:
            raise OptionError(f"{name}: expected {name}_file or '${{env:VARIABLE}}', got the value itself")
        return Secret(name, plain=str(given))

    def value(self, environ: Mapping[str, str] = os.environ) -> str:
        """What it is now.

        Raises:
            OptionError: the file cannot be read, the variable is not set, or there is nothing in it.
        """
        if self._plain:
            return self._plain
        if self._file is not None:
            return self._read(self._file)
        value = environ.get(self._variable, "").strip()
        if not value:
            raise OptionError(f"{self._name}: the variable {self._variable} is not set")
        return value

    def _read(self, file: Path) -> str:
        try:
            with file.open("rb") as opened:
                value = opened.read(_FILE_BYTES).decode().strip()
        except OSError as error:
            raise OptionError(f"{self._name}_file {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise OptionError(f"{self._name}_file {file}: expected text in UTF-8") from None
        if not value:
            raise OptionError(f"{self._name}_file {file}: it is empty")
        return value
