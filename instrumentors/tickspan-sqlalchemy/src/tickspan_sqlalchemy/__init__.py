"""SQLAlchemy statements, batches, rows and transactions as OpenTelemetry spans without a literal."""

from tickspan_sqlalchemy.instrumentor import SQLAlchemyInstrumentor

__all__ = ["SQLAlchemyInstrumentor"]
