"""Redis as a tier: an auto-pipelining connection, limits, a breaker, and invalidations from the server."""
