"""Importing this module switches tickspan on, harmlessly: for launchers and embedded interpreters."""

from __future__ import annotations

from tickspan.distro import start_quietly

start_quietly()
