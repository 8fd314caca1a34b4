"""Notifiers: those who tell people of alerts. None of them is ever on the path of what is measured."""
