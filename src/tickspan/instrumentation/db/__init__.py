"""Database operations: how a statement, a batch, a transaction's end and a driver's error are told.

A call of a database library is one logical operation and one span: below it, instrumentation of its driver
keeps silent. Neither a parameter nor a literal nor the text of an error leaves this package.
"""

from tickspan.analysis.sql import Kind, Statement
from tickspan.instrumentation.db.callers import caller_attributes
from tickspan.instrumentation.db.comments import Comments
from tickspan.instrumentation.db.database import Database
from tickspan.instrumentation.db.errors import describe_error, scrub
from tickspan.instrumentation.db.operations import (
    DURATION,
    DatabaseOperations,
    ToldStatement,
    changes_rows,
)
from tickspan.instrumentation.db.teller import (
    LOAD,
    PENDING,
    STATE,
    ActiveStatement,
    ActiveTransactionEnd,
    Listening,
    Teller,
    Transaction,
    audible,
    following,
    keyed_hash,
)

__all__ = [
    "DURATION",
    "LOAD",
    "PENDING",
    "STATE",
    "ActiveStatement",
    "ActiveTransactionEnd",
    "Comments",
    "Database",
    "DatabaseOperations",
    "Kind",
    "Listening",
    "Statement",
    "Teller",
    "ToldStatement",
    "Transaction",
    "audible",
    "caller_attributes",
    "changes_rows",
    "describe_error",
    "following",
    "keyed_hash",
    "scrub",
]
