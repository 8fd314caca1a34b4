"""Statements and transactions of database drivers as OpenTelemetry spans without a literal."""

from tickspan_dbapi.instrumentor import DbapiInstrumentor

__all__ = ["DbapiInstrumentor"]
