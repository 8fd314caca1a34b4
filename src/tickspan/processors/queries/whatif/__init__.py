"""What-if for each database: one module, one class that keeps the promise of `analysis.indexes.whatif`."""
