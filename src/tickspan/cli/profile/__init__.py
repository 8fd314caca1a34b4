"""`tickspan profile`: run a program sampled, ask a running one for a profile, show and compare profiles."""

from tickspan.cli.profile.command import ProfileCommand

__all__ = ["ProfileCommand"]
