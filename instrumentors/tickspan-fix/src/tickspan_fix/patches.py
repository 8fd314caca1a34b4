"""The table: which functions of QuickFIX and simplefix tell what."""

from __future__ import annotations

from typing import Final

from tickspan.instrumentation import Row, Wrap

from tickspan_fix import engine, parser

_ENGINES: Final = (
    ("SocketInitiator", False),
    ("SocketAcceptor", False),
    ("ThreadedSocketInitiator", False),
    ("ThreadedSocketAcceptor", False),
    ("SSLSocketInitiator", True),  # where QuickFIX was built with TLS
    ("SSLSocketAcceptor", True),
    ("ThreadedSSLSocketInitiator", True),
    ("ThreadedSSLSocketAcceptor", True),
)

ROWS: Final[tuple[Row, ...]] = (
    Wrap("quickfix", "Application.__init__", engine.adopting(0, "Application.__init__")),
    Wrap("quickfix", "SynchronizedApplication.__init__", engine.adopting(1, "SynchronizedApplication")),
    *(
        Wrap("quickfix", f"{name}.__init__", engine.adopting(1, name), optional=optional)
        for name, optional in _ENGINES
    ),
    Wrap("quickfix", "Initiator.stop", engine.stopping),
    Wrap("quickfix", "Acceptor.stop", engine.stopping),
    Wrap("quickfix", "Session.logout", engine.logging_out),
    Wrap("quickfix", "Session.send", engine.sending),
    Wrap("quickfix", "Session.sendToTarget", engine.sending_to_target),
    Wrap("simplefix.message", "FixMessage.encode", parser.encoding),
    Wrap("simplefix.parser", "FixParser.append_buffer", parser.appending),
    Wrap("simplefix.parser", "FixParser.get_message", parser.parsing),
)
