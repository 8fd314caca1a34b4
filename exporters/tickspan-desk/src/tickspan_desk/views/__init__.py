"""What pages show, as values: pure functions of what the store answered."""
