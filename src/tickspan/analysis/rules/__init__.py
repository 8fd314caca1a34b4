"""Alert rules: what they are, what they mean, and what becomes of them when time goes on."""
