"""A WSGI application that records what each request asks for; `gunicorn web:application`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import witness

witness.start("web")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """One of each signal, and who it was."""
    witness.everything(1)
    if environ["PATH_INFO"] == "/die":
        os.kill(os.getpid(), 9)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [str(os.getpid()).encode()]
