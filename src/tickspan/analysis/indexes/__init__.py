"""Index advice: which indexes a workload is missing, and what each is worth."""

from tickspan.analysis.indexes.model import IndexAdvice, IndexSpec, WorkloadQuery

__all__ = ["IndexAdvice", "IndexSpec", "WorkloadQuery"]
