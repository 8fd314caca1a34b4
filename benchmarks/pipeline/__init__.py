"""The pipeline beside its peers: what recording costs, what it disturbs, and what arrives."""
