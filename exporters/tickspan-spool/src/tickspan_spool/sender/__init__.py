"""Sender: from batches of entries to acknowledged OTLP requests, over HTTP and gRPC."""

from .breaker import BreakerState
from .channel import Channel, UnusableChannel, open_channel
from .dead_letters import DeadLetters, Letter, LetterHead, list_letters, redrive, show_letter
from .delivery import Delivery, DeliveryStatistics, Verdict
from .destination import Destination, destinations_from_environment
from .grpc_outcome import decide_grpc
from .outcome import Outcome, OutcomeKind, decide

__all__ = [
    "BreakerState",
    "Channel",
    "DeadLetters",
    "Delivery",
    "DeliveryStatistics",
    "Destination",
    "Letter",
    "LetterHead",
    "Outcome",
    "OutcomeKind",
    "UnusableChannel",
    "Verdict",
    "decide",
    "decide_grpc",
    "destinations_from_environment",
    "list_letters",
    "open_channel",
    "redrive",
    "show_letter",
]
