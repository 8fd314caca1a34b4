"""The OTLP/HTTP receiver: telemetry in, decoded, bounded, whatever the sender does."""

from .batch import Batch, ExportRequest, Response, Signal
from .decoding import decode
from .limits import Limits
from .refusal import Reason
from .server import Receiver
from .statistics import ReceiverStatistics

__all__ = [
    "Batch",
    "ExportRequest",
    "Limits",
    "Reason",
    "Receiver",
    "ReceiverStatistics",
    "Response",
    "Signal",
    "decode",
]
