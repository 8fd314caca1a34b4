"""How a process reaches its agent: where it keeps its files, who is elected, how it is started and asked.

Both sides use this package, the recording one on every start: it loads nothing but the standard library.
"""

from .control import ControlSocket, Peer, ask
from .election import Election, Holder, holder
from .launch import refusal
from .link import ensure_running, hand_over_credentials
from .places import AgentPlaces

__all__ = [
    "AgentPlaces",
    "ControlSocket",
    "Election",
    "Holder",
    "Peer",
    "ask",
    "ensure_running",
    "hand_over_credentials",
    "holder",
    "refusal",
]
