"""Names of everything the suite emits, one module per namespace; no attribute name is a literal elsewhere."""
