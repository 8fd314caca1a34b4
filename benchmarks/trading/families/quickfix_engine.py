"""QuickFIX as a program uses it: an application that only logs on, and an initiator of one session."""
# ruff: noqa: N802, ARG002 - QuickFIX calls its application by these names
# and by position: the names `arg0` and `arg1` in its base class are SWIG's.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import gc
import threading
from typing import Any, Final

import quickfix

Fields = tuple[tuple[int, str], ...]
_PATIENCE_S: Final = 10.0
_MSG_TYPE: Final = 35


class App(quickfix.Application):
    """Logs on with credentials, and keeps nothing."""

    def __init__(self, credentials: Fields) -> None:
        super().__init__()
        self.session: Any = None
        self.is_on = threading.Event()
        self._credentials = credentials

    def onCreate(self, session: Any) -> None:
        """The session by which messages are sent."""
        self.session = session

    def onLogon(self, session: Any) -> None:
        """From now on orders may be sent."""
        self.is_on.set()

    def onLogout(self, session: Any) -> None:
        """The engine will log on again."""
        self.is_on.clear()

    def toAdmin(self, message: Any, session: Any) -> None:
        """A logon gets the credentials."""
        if message.getHeader().getField(_MSG_TYPE) == "A":
            for tag, value in self._credentials:
                message.setField(quickfix.StringField(tag, value))

    def fromAdmin(self, message: Any, session: Any) -> None:
        """Nothing to do."""

    def toApp(self, message: Any, session: Any) -> None:
        """Nothing to do."""

    def fromApp(self, message: Any, session: Any) -> None:
        """Nothing to do."""


class Engine:
    """A socket initiator of one session, logged on."""

    def __init__(self, settings: str, credentials: Fields) -> None:
        """Start it; `settings` as QuickFIX reads them. Raises TimeoutError without a logon."""
        read: Any = quickfix.SessionSettings()
        read.setFromString(settings)
        self._settings = read  # QuickFIX holds a pointer to it
        self._app: Any = App(credentials)
        self._initiator: Any = quickfix.SocketInitiator(self._app, quickfix.FileStoreFactory(read), read)
        self._initiator.start()
        if not self._app.is_on.wait(_PATIENCE_S):
            raise TimeoutError(f"no logon within {_PATIENCE_S:g} s")

    def send(self, msg_type: str, *fields: tuple[int, Any]) -> None:
        """Send a message of the program's."""
        message: Any = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        for tag, value in fields:
            message.setField(quickfix.StringField(tag, str(value)))
        quickfix.Session.sendToTarget(message, self._app.session)

    def close(self) -> None:
        """End the session. Two engines must not have one at a time: the library's registry would break."""
        self._initiator.stop(force=True)
        self._initiator = None
        gc.collect()
