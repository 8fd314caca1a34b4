"""Pools of others, measured: `db.client.connection.*` and the points where their libraries tell of them."""

from tickspan.instrumentation.pooling.book import Heard, Hearers, PoolBook
from tickspan.instrumentation.pooling.calls import PoolKind, giving_back, lending, making
from tickspan.instrumentation.pooling.probe import (
    Governor,
    Holding,
    MeasuredPool,
    Permit,
    PoolCounts,
    PoolProbe,
    ReadCounts,
    Series,
    measured_pool,
)
from tickspan.instrumentation.pooling.vocabulary import BROKER, DATABASE, Vocabulary

__all__ = [
    "BROKER",
    "DATABASE",
    "Governor",
    "Heard",
    "Hearers",
    "Holding",
    "MeasuredPool",
    "Permit",
    "PoolBook",
    "PoolCounts",
    "PoolKind",
    "PoolProbe",
    "ReadCounts",
    "Series",
    "Vocabulary",
    "giving_back",
    "lending",
    "making",
    "measured_pool",
]
